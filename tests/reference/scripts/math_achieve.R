SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
case <- "math_achieve"; dir <- case_dir(case)
a <- nlme::MathAchieve; s <- nlme::MathAchSchool
d <- data.frame(MathAch = a$MathAch, SES = a$SES, Minority = factor(a$Minority, ordered = FALSE), Sex = factor(a$Sex, ordered = FALSE),
                School = factor(as.character(a$School)))
i <- match(as.character(a$School), as.character(s$School))
d$MEANSES <- s$MEANSES[i]; d$Sector <- factor(as.character(s$Sector)[i])
models <- list()
specs <- list(
  slopes_reml = list(MathAch ~ MEANSES + Sector + SES + (SES | School), TRUE),
  slopes_ml   = list(MathAch ~ MEANSES + Sector + SES + (SES | School), FALSE),
  cross_level_reml = list(MathAch ~ SES * MEANSES + SES * Sector + (SES | School), TRUE))
for (k in names(specs)) {
  f <- specs[[k]][[1]]; R <- specs[[k]][[2]]
  cl <- sprintf("lmer(%s, d, REML = %s)", paste(deparse(f), collapse = " "), R)
  models[[k]] <- lmm_record(lmer_exact(f, d, R), d, cl, dir, k)
}
finish_case(case, "High school and beyond: mathematics achievement of students in schools, with school-level predictors", d,
  units = list(MathAch = "mathematics achievement score", SES = "socio-economic status of the student", Minority = "minority student", Sex = "sex",
               School = "school", MEANSES = "mean SES of the school (constant within school)", Sector = "Public or Catholic (constant within school)"),
  source = list(dataset = "nlme::MathAchieve joined with nlme::MathAchSchool",
    citation = "Raudenbush SW, Bryk AS (2002). Hierarchical Linear Models, 2nd ed. Sage. Data: US Department of Education, High School and Beyond survey, 1982.",
    licence = LIC_GPL("nlme")),
  models = models, sw = software("lme4", "nlme", "Matrix"), package_data = "math_achieve",
  notes = c("school-level predictors are constant within a school: they can be population columns, not group columns"))

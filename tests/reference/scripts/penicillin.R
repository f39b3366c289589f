SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
case <- "penicillin"; dir <- case_dir(case); NAME <- "Penicillin"
d <- lme4::Penicillin
specs <- list(reml = list(diameter ~ 1 + (1 | plate) + (1 | sample), TRUE), ml = list(diameter ~ 1 + (1 | plate) + (1 | sample), FALSE))
models <- list()
for (k in names(specs)) {
  f <- specs[[k]][[1]]; R <- specs[[k]][[2]]
  cl <- sprintf("lmer(%s, %s, REML = %s)", paste(deparse(f, 200), collapse = " "), NAME, R)
  models[[k]] <- lmm_record(lmer_exact(f, d, R), d, cl, dir, k)
}

finish_case(case, "Penicillin assay: plate and sample fully crossed", d,
  units = list(diameter = "diameter of the zone of inhibition, mm", plate = "assay plate", sample = "penicillin sample"),
  source = list(dataset = "lme4::Penicillin", citation = "Davies OL, Goldsmith PL (eds) (1972). Statistical Methods in Research and Production, 4th ed. Oliver and Boyd, section 6.6.", licence = LIC_GPL("lme4")),
  models = models, sw = software("lme4", "Matrix"), package_data = "penicillin")

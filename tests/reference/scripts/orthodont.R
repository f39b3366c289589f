SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
unorder <- function(v) factor(as.character(v), levels = levels(v))   # ordered factor -> plain factor, same level order
case <- "orthodont"; dir <- case_dir(case); NAME <- "Orthodont"
d <- as.data.frame(nlme::Orthodont); d$Subject <- unorder(d$Subject); d$age11 <- d$age - 11
f0 <- distance ~ age11 * Sex + (age11 | Subject)
specs <- list(homoscedastic_reml = list(f0, TRUE), homoscedastic_ml = list(f0, FALSE))
models <- list()
for (k in names(specs)) {
  f <- specs[[k]][[1]]; R <- specs[[k]][[2]]
  cl <- sprintf("lmer(%s, %s, REML = %s)", paste(deparse(f, 200), collapse = " "), NAME, R)
  models[[k]] <- lmm_record(lmer_exact(f, d, R), d, cl, dir, k)
}

fx <- distance ~ age11 * Sex; ct <- nlme::lmeControl(msTol = 1e-12, tolerance = 1e-10, msMaxIter = 500)
for (k in c("reml", "ml")) {
  M <- toupper(k)
  h <- nlme::lme(fx, d, random = ~ age11 | Subject, method = M, control = ct)
  models[[paste0("homoscedastic_", k)]]$second_software <- list(software = "nlme", call = sprintf("lme(distance ~ age11 * Sex, random = ~ age11 | Subject, method = \"%s\")", M),
    logLik = as.numeric(logLik(h)), fixef = arr(unname(nlme::fixef(h))), cov = unname(matrix(as.numeric(nlme::getVarCov(h)), 2, 2)), residual_sd = h$sigma)
  cl <- sprintf("lme(distance ~ age11 * Sex, random = ~ age11 | Subject, weights = varIdent(form = ~ 1 | Sex), method = \"%s\")", M)
  fit <- function() nlme::lme(fx, d, random = ~ age11 | Subject, weights = nlme::varIdent(form = ~ 1 | Sex), method = M, control = ct)
  nl <- fit(); nl$call$fixed <- fx
  models[[paste0("by_sex_", k)]] <- hetero_record(nl, fx, d, "Subject", c("(Intercept)", "age11"), "Sex", k == "reml", cl)
}
finish_case(case, "Orthodontic growth: random intercept and slope per child, residual sd free for each sex", d,
  units = list(distance = "pituitary to pterygomaxillary fissure, mm", age = "age, years", Subject = "child", Sex = "sex", age11 = "age - 11"),
  source = list(dataset = "nlme::Orthodont", citation = "Potthoff RF, Roy SN (1964). A generalized multivariate analysis of variance model useful especially for growth curve problems. Biometrika 51, 313-326; Pinheiro JC, Bates DM (2000). Mixed-Effects Models in S and S-PLUS. Springer, appendix A.17.", licence = LIC_GPL("nlme")),
  models = models, sw = software("lme4", "nlme", "Matrix"), package_data = "orthodont",
  notes = c("by_sex_*: the residual sd differs by Sex (varIdent), the random-effect covariance is shared", "the reference level of Sex is Male"))

SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
case <- "sleepstudy"; dir <- case_dir(case)
d <- lme4::sleepstudy
models <- list()
specs <- list(
  correlated_reml   = list(Reaction ~ Days + (Days | Subject), TRUE),
  correlated_ml     = list(Reaction ~ Days + (Days | Subject), FALSE),
  uncorrelated_reml = list(Reaction ~ Days + (Days || Subject), TRUE),
  uncorrelated_ml   = list(Reaction ~ Days + (Days || Subject), FALSE),
  intercept_reml    = list(Reaction ~ Days + (1 | Subject), TRUE))
for (k in names(specs)) {
  f <- specs[[k]][[1]]; R <- specs[[k]][[2]]
  cl <- sprintf("lmer(%s, sleepstudy, REML = %s)", deparse(f), R)
  models[[k]] <- lmm_record(lmer_exact(f, d, R), d, cl, dir, k)
}
nl <- nlme::lme(Reaction ~ Days, d, random = ~ Days | Subject, control = nlme::lmeControl(msTol = 1e-12, tolerance = 1e-10))
models$correlated_reml$second_software <- list(software = "nlme", call = "lme(Reaction ~ Days, random = ~ Days | Subject)",
  logLik = as.numeric(logLik(nl)), fixef = arr(unname(nlme::fixef(nl))), residual_sd = nl$sigma,
  cov = unname(matrix(as.numeric(nlme::getVarCov(nl)), 2, 2)))
finish_case(case, "Sleep deprivation: reaction time by day, random intercept and slope per subject", d,
  units = list(Reaction = "average reaction time, ms", Days = "days of sleep deprivation", Subject = "subject"),
  source = list(dataset = "lme4::sleepstudy",
    citation = "Belenky G, Wesensten NJ, Thorne DR, Thomas ML, Sing HC, Redmond DP, Russo MB, Balkin TJ (2003). Patterns of performance degradation and restoration during sleep restriction and subsequent recovery: a sleep dose-response study. Journal of Sleep Research 12, 1-12.",
    licence = LIC_GPL("lme4")),
  models = models, sw = software("lme4", "nlme", "Matrix"), package_data = "sleepstudy",
  notes = c("the Days || Subject fits are two independent scalar terms for the same grouping; ranef has one entry for each ('Subject.1', 'Subject.2')"))

SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
case <- "pastes"; dir <- case_dir(case); NAME <- "Pastes"
d <- lme4::Pastes
specs <- list(nested_reml = list(strength ~ 1 + (1 | batch) + (1 | sample), TRUE), nested_ml = list(strength ~ 1 + (1 | batch) + (1 | sample), FALSE),
              sample_only_reml = list(strength ~ 1 + (1 | sample), TRUE), sample_only_ml = list(strength ~ 1 + (1 | sample), FALSE))
models <- list()
for (k in names(specs)) {
  f <- specs[[k]][[1]]; R <- specs[[k]][[2]]
  cl <- sprintf("lmer(%s, %s, REML = %s)", paste(deparse(f, 200), collapse = " "), NAME, R)
  models[[k]] <- lmm_record(lmer_exact(f, d, R), d, cl, dir, k)
}

nl <- nlme::lme(strength ~ 1, d, random = ~ 1 | batch/cask, control = nlme::lmeControl(msTol = 1e-12, tolerance = 1e-10))
models$nested_reml$second_software <- list(software = "nlme", call = "lme(strength ~ 1, random = ~ 1 | batch/cask)", logLik = as.numeric(logLik(nl)),
  sd = arr(unname(c(nlme_sds(nl)$batch, nlme_sds(nl)$cask, nl$sigma))), sd_of = arr(c("batch", "cask in batch", "residual")))
finish_case(case, "Paste strength: cask nested in delivery batch, two assays each", d,
  units = list(strength = "paste strength", batch = "delivery batch", cask = "cask within batch (labels repeat across batches)", sample = "batch:cask"),
  source = list(dataset = "lme4::Pastes", citation = "Davies OL, Goldsmith PL (eds) (1972). Statistical Methods in Research and Production, 4th ed. Oliver and Boyd, section 6.5.", licence = LIC_GPL("lme4")),
  models = models, sw = software("lme4", "nlme", "Matrix"), package_data = "pastes",
  notes = "(1 | batch) + (1 | sample) is the same model as (1 | batch/cask); cask alone repeats its labels in every batch")

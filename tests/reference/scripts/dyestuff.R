SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
case <- "dyestuff"; dir <- case_dir(case); NAME <- "Dyestuff"
d <- lme4::Dyestuff
specs <- list(reml = list(Yield ~ 1 + (1 | Batch), TRUE), ml = list(Yield ~ 1 + (1 | Batch), FALSE))
models <- list()
for (k in names(specs)) {
  f <- specs[[k]][[1]]; R <- specs[[k]][[2]]
  cl <- sprintf("lmer(%s, %s, REML = %s)", paste(deparse(f, 200), collapse = " "), NAME, R)
  models[[k]] <- lmm_record(lmer_exact(f, d, R), d, cl, dir, k)
}

# closed form for the balanced one-way layout
J <- nlevels(d$Batch); n <- nrow(d) / J; gm <- tapply(d$Yield, d$Batch, mean)
SSB <- n * sum((gm - mean(d$Yield))^2); SSW <- sum((d$Yield - gm[d$Batch])^2)
MSB <- SSB / (J - 1); MSW <- SSW / (J * (n - 1))
closed <- list(n_groups = J, per_group = n, between_mean_square = MSB, within_mean_square = MSW,
  reml_variance_batch = max(0, (MSB - MSW) / n), reml_variance_residual = MSW, ml_variance_batch = max(0, (SSB / J - MSW) / n), ml_variance_residual = MSW,
  anova_F = MSB / MSW, intraclass_correlation_reml = (MSB - MSW) / (MSB + (n - 1) * MSW))
stopifnot(abs(models$reml$random[[1]]$variance / closed$reml_variance_batch - 1) < 1e-8, abs(models$ml$random[[1]]$variance / closed$ml_variance_batch - 1) < 1e-8)
finish_case(case, "Dyestuff yield by batch: balanced one-way random effects", d,
  units = list(Yield = "yield of dyestuff, grams of standard colour", Batch = "batch of intermediate product"),
  source = list(dataset = "lme4::Dyestuff", citation = "Davies OL, Goldsmith PL (eds) (1972). Statistical Methods in Research and Production, 4th ed. Oliver and Boyd, section 6.4.", licence = LIC_GPL("lme4")),
  models = models, sw = software("lme4", "Matrix"), package_data = "dyestuff", extra = list(closed_form = closed),
  notes = "closed_form holds the exact balanced-ANOVA answers; the fits agree with them")

SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
case <- "dyestuff2"; dir <- case_dir(case); NAME <- "Dyestuff2"
d <- lme4::Dyestuff2
specs <- list(reml = list(Yield ~ 1 + (1 | Batch), TRUE), ml = list(Yield ~ 1 + (1 | Batch), FALSE))
models <- list()
for (k in names(specs)) {
  f <- specs[[k]][[1]]; R <- specs[[k]][[2]]
  cl <- sprintf("lmer(%s, %s, REML = %s)", paste(deparse(f, 200), collapse = " "), NAME, R)
  models[[k]] <- lmm_record(lmer_exact(f, d, R), d, cl, dir, k)
}

J <- nlevels(d$Batch); n <- nrow(d) / J; gm <- tapply(d$Yield, d$Batch, mean); N <- nrow(d)
SSB <- n * sum((gm - mean(d$Yield))^2); SSW <- sum((d$Yield - gm[d$Batch])^2); SST <- sum((d$Yield - mean(d$Yield))^2)
closed <- list(n_groups = J, per_group = n, between_mean_square = SSB / (J - 1), within_mean_square = SSW / (J * (n - 1)),
  anova_variance_batch_untruncated = (SSB / (J - 1) - SSW / (J * (n - 1))) / n,
  reml_variance_batch = 0, reml_variance_residual = SST / (N - 1), ml_variance_batch = 0, ml_variance_residual = SST / N)
stopifnot(models$reml$theta == 0, models$ml$theta == 0, abs(models$reml$residual$variance / closed$reml_variance_residual - 1) < 1e-12)
finish_case(case, "Dyestuff2: balanced one-way layout whose batch variance is estimated as exactly zero", d,
  units = list(Yield = "constructed yield", Batch = "batch"),
  source = list(dataset = "lme4::Dyestuff2", citation = "Box GEP, Tiao GC (1973). Bayesian Inference in Statistical Analysis. Addison-Wesley, section 5.1.2 (constructed data: between mean square below the within mean square).", licence = LIC_GPL("lme4")),
  models = models, sw = software("lme4", "Matrix"), package_data = "dyestuff2", extra = list(closed_form = closed),
  notes = c("the optimum is on the boundary: batch variance 0, every conditional mode 0 with conditional sd 0, and the fit equals the plain mean",
            "the untruncated ANOVA estimate is negative and is given for tools that allow it"))

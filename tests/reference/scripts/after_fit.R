# What R says after a fit: the numbers that tests copy, with the sections they stand under. Prints to the terminal.
#   Rscript tests/reference/scripts/after_fit.R
suppressMessages({library(lme4); library(nlme); library(lmerTest); library(pbkrtest); library(performance)})
sleepstudy <- lme4::sleepstudy
school <- merge(as.data.frame(nlme::MathAchieve), as.data.frame(nlme::MathAchSchool)[, c("School", "Sector")], by = "School")
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.05, rhoend = 1e-10, maxfun = 1e5), calc.derivs = FALSE)
for (p in c("lme4", "lmerTest", "pbkrtest", "performance")) cat(p, as.character(packageVersion(p)), "\n")
g <- function(...) cat(sprintf("%.12g", c(...)), "\n")

cat("# r2\n")
johnson <- function(m) {  # Johnson (2014), for singular fits too, which performance refuses
  fixed <- var(as.numeric(getME(m, "X") %*% fixef(m))); Z <- getME(m, "mmList")
  between <- sum(mapply(function(z, S) mean(rowSums((z %*% as.matrix(S)) * z)), Z, VarCorr(m)))
  total <- fixed + between + sigma(m)^2
  c(fixed, fixed + between) / total
}
m <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = tight)
o <- r2_nakagawa(m); g(o$R2_marginal, o$R2_conditional); g(johnson(m))
g(johnson(lme4::lmer(MathAch ~ SES * Sector + (SES | School), school, control = tight)))

cat("# likelihood\n")
fits <- list(lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = tight),
             lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE, control = tight),
             lme4::lmer(Reaction ~ Days + (Days || Subject), sleepstudy, REML = FALSE, control = tight),
             lme4::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin, REML = FALSE, control = tight),
             glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial))
for (m in fits) g(logLik(m), attr(logLik(m), "df"), AIC(m), BIC(m))

cat("# anova\n")
a <- anova(lme4::lmer(Reaction ~ 1 + (Days | Subject), sleepstudy, REML = FALSE, control = tight),
           lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE, control = tight))
g(a$Chisq[2], a$Df[2], a[["Pr(>Chisq)"]][2])

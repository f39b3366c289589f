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

cat("# degrees of freedom: Satterthwaite (df), then Kenward and Roger (se, df)\n")
show <- function(m) {
  s <- coef(summary(m)); k <- coef(summary(m, ddf = "Kenward-Roger"))
  for (i in seq_len(nrow(s))) { cat(rownames(s)[i], ""); g(s[i, "df"], k[i, "Std. Error"], k[i, "df"]) }
}
data(Orthodont, package = "nlme"); orth <- as.data.frame(Orthodont); orth$Sex <- factor(as.character(orth$Sex), levels = c("Male", "Female"))
m1 <- lmerTest::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = tight)
m2 <- lmerTest::lmer(distance ~ age * Sex + (1 | Subject), orth, control = tight)
m3 <- lmerTest::lmer(strength ~ 1 + (1 | batch) + (1 | sample), Pastes, control = tight)
unbalanced <- sleepstudy[-c(3, 4, 5, 17, 40:47, 90, 133:139), ]
m4 <- lmerTest::lmer(Reaction ~ Days + I(Days^2) + (Days | Subject), unbalanced, control = tight)
m5 <- lmerTest::lmer(Reaction ~ Days + (Days || Subject), unbalanced, control = tight)
for (m in list(m1, m2, m3, m4, m5)) show(m)
L <- rbind(c(0, 1, 0, 0), c(0, 0, 1, 0), c(0, 0, 0, 1))
a <- contestMD(m2, L); g(a[["F value"]], a$DenDF, a[["Pr(>F)"]])
a <- contestMD(m2, L, ddf = "Kenward-Roger"); g(a[["F value"]], a$DenDF, a[["Pr(>F)"]])
L <- rbind(c(0, 1, 0), c(0, 0, 1))
a <- contestMD(m4, L); g(a[["F value"]], a$DenDF, a[["Pr(>F)"]])
a <- contestMD(m4, L, ddf = "Kenward-Roger"); g(a[["F value"]], a$DenDF, a[["Pr(>F)"]])

cat("# profile\n")
pc <- function(m) { z <- confint(profile(m, maxpts = 400, delta.cutoff = 1/32), oldNames = FALSE); for (i in seq_len(nrow(z))) { cat(rownames(z)[i], ""); g(z[i, ]) } }
pc(lme4::lmer(Yield ~ 1 + (1 | Batch), Dyestuff, REML = FALSE, control = tight))
pc(lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE, control = tight))
pc(lme4::lmer(Yield ~ 1 + (1 | Batch), Dyestuff2, REML = FALSE, control = tight))
if ("singular" %in% commandArgs(TRUE)) pc(lme4::lmer(MathAch ~ SES * Sector + (SES | School), school, REML = FALSE, control = tight))
pc(lme4::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin, REML = FALSE, control = tight))

# Laplace fits of lme4, then Newton steps on its own criterion: Rscript glmer.R ticks|height|cbpp|verbal|slopes|women|women25 [tolPwrss]
# With a larger tolPwrss the factor of the last step but one is used, and the criterion of ticks is 5e-5 too high.
suppressMessages(library(lme4))
# Newton steps on glmer's own criterion from where it stops; derivatives by differences.
polish <- function(f, p, steps = 4) {
  n <- length(p)
  grad <- function(p, h = 1e-4) sapply(seq_len(n), function(i) { e <- replace(numeric(n), i, h)
    (f(p - 2*e) - 8*f(p - e) + 8*f(p + e) - f(p + 2*e)) / (12*h) })
  for (k in seq_len(steps)) {
    H <- sapply(seq_len(n), function(i) { e <- replace(numeric(n), i, 1e-3); (grad(p + e) - grad(p - e)) / 2e-3 })
    H <- (H + t(H)) / 2
    g <- grad(p); p <- p - solve(H, g)
    cat("step", k, "decrement", sum(g * solve(H, g)), "deviance", format(f(p), digits = 14), "\n")
  }
  list(p = p, value = f(p), cov = 2 * solve(H))
}
fit <- function(formula, data, family, ...) {
  ctrl <- glmerControl(optimizer = "bobyqa", tolPwrss = tol, optCtrl = list(maxfun = 1e5))
  m <- glmer(formula, data, family = family, control = ctrl, ...)
  f <- update(m, devFunOnly = TRUE)
  r <- polish(f, c(getME(m, "theta"), fixef(m)))
  q <- length(getME(m, "theta"))
  cat("lme4 stops at", format(-2 * c(logLik(m)), digits = 14), "\n")
  cat("criterion", format(r$value, digits = 15), "\n"); print(names(getME(m, "theta")))
  cat("theta", format(r$p[1:q], digits = 10), "\n")
  cat("beta", format(r$p[-(1:q)], digits = 10), "\n")
  cat("se", format(sqrt(diag(r$cov))[-(1:q)], digits = 8), "\n")
}
a <- commandArgs(TRUE); tol <- if (length(a) > 1) as.numeric(a[2]) else 1e-13; a <- a[1]
if (a == "height") { grouseticks$height <- (grouseticks$HEIGHT - mean(grouseticks$HEIGHT)) / 100
  fit(TICKS ~ YEAR + height + (1|BROOD) + (1|LOCATION) + (1|INDEX), grouseticks, poisson) }
if (a == "ticks") fit(TICKS ~ YEAR + scale(HEIGHT) + (1|BROOD) + (1|LOCATION) + (1|INDEX), grouseticks, poisson)
if (a == "cbpp") { cbpp$obs <- factor(seq_len(nrow(cbpp))); fit(cbind(incidence, size - incidence) ~ period + (1|herd) + (1|obs), cbpp, binomial) }
if (a == "verbal") fit(r2 ~ Anger + Gender + btype + situ + (1|id) + (1|item), VerbAgg, binomial)
if (a == "slopes") fit(r2 ~ Anger + mode + (mode|id) + (1|item), VerbAgg, binomial)
# Age in decades, so that the steps of the differences suit its square as well.
if (a %in% c("women", "women25")) { data(Contraception, package = "mlmRev"); Contraception$age <- Contraception$age / 10 }
if (a == "women") fit(use ~ age + I(age^2) + livch + urban + (1 + urban|district), Contraception, binomial)
if (a == "women25") fit(use ~ age + I(age^2) + livch + urban + (1|district), Contraception, binomial, nAGQ = 25)

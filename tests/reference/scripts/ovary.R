# Ovarian follicles of 11 mares by day of the cycle: AR(1) errors within mares, with gaps in time.
#   REFERENCE_OUT=/tmp/reference Rscript tests/reference/scripts/ovary.R
# Every fifth observation of a mare is left out, so that neighbours are one or two steps apart; nlme then evaluates
# corAR1 as an ARMA(1, 0) process, whose correlation over two steps is rho^2.
library(nlme)
options(digits = 17)
out <- file.path(Sys.getenv("REFERENCE_OUT", "tests/reference"), "ovary")
dir.create(out, showWarnings = FALSE, recursive = TRUE)

data <- as.data.frame(Ovary)
data$mare <- as.integer(as.character(data$Mare))
data <- data[order(data$mare, data$Time), ]
data$step <- ave(data$Time, data$mare, FUN = seq_along)
data <- data[data$step %% 5 != 3, ]
data$s <- round(sin(2 * pi * data$Time), 12)
data$c <- round(cos(2 * pi * data$Time), 12)
table <- data[c("mare", "step", "s", "c", "follicles")]
write.csv(table, file.path(out, "data.csv"), row.names = FALSE, quote = FALSE)

# The profile of the criterion over rho, which nlme holds at each value; its maximum by golden section and parabola.
fit_at <- function(rho, kind, method) {
  corr <- corAR1(rho, form = ~ step | mare, fixed = TRUE)
  if (kind == "gls") return(gls(follicles ~ s + c, table, correlation = corr, method = method))
  lme(follicles ~ s + c, table, random = ~ 1 | mare, correlation = corr, method = method,
      control = lmeControl(opt = "optim", msTol = 1e-14, tolerance = 1e-12, msMaxIter = 500))
}
answers <- list()
for (kind in c("gls", "lme")) for (method in c("REML", "ML")) {
  value <- function(rho) as.numeric(logLik(fit_at(rho, kind, method)))
  best <- optimize(value, c(0.3, 0.9), maximum = TRUE, tol = 1e-8)$maximum
  fit <- fit_at(best, kind, method)
  beta <- if (kind == "gls") coef(fit) else fixef(fit)
  answers[[paste(kind, tolower(method), sep = "_")]] <- list(
    loglik = as.numeric(logLik(fit)), rho = best, sigma = fit$sigma,
    beta = as.numeric(beta), beta_se = as.numeric(sqrt(diag(vcov(fit)))),
    sd_mare = if (kind == "lme") as.numeric(VarCorr(fit)[1, 2]) else 0,
    profile = list(rho = c(-0.4, 0.2, 0.6), loglik = sapply(c(-0.4, 0.2, 0.6), value)))
}
number <- function(x) paste0("[", paste(format(x, digits = 17), collapse = ", "), "]")
scalar <- function(x) format(x, digits = 17)
text <- sapply(names(answers), function(name) with(answers[[name]], sprintf(
  '    "%s": {"loglik": %s, "rho": %s, "sigma": %s, "sd_mare": %s,\n      "beta": %s, "beta_se": %s,\n      "profile": {"rho": %s, "loglik": %s}}',
  name, scalar(loglik), scalar(rho), scalar(sigma), scalar(sd_mare), number(beta), number(beta_se),
  number(profile$rho), number(profile$loglik))))
columns <- paste(sprintf('      "%s": {"type": "%s"}', names(table), c("integer", "integer", "number", "number", "number")),
                 collapse = ",\n")
writeLines(c("{",
  '  "case": "ovary",', '  "title": "Ovarian follicles of 11 mares: AR(1) errors in time, with gaps",',
  sprintf('  "data": {"file": "data.csv", "n_rows": %d, "columns": {', nrow(table)), columns, '    },',
  '    "source": "nlme::Ovary, from Pierson and Ginther (1987), Animal Reproduction Science 14, 219-231; in Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, example 5.3. nlme is GPL (>= 2). Every fifth observation of a mare is left out; s and c are sine and cosine of 2 pi Time."},',
  sprintf('  "software": {"R": "%s", "nlme": "%s"},', paste(R.version$major, R.version$minor, sep = "."), packageVersion("nlme")),
  '  "conventions": "gls: follicles ~ s + c; lme: and random = ~ 1 | mare; correlation = corAR1(rho, form = ~ step | mare, fixed = TRUE). loglik is logLik(fit), restricted for *_reml, at the rho that maximises it (optimize, tol 1e-8); profile has it at given rho.",',
  '  "models": {', paste(text, collapse = ",\n"), "  }", "}"), file.path(out, "expected.json"))

SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
case <- "sim_d_paired_regressions"; dir <- case_dir(case)
set.seed(2021); N <- 200; theta_a <- c(1, 2); theta_b <- c(1.3, 1.7); S0 <- matrix(c(0.5^2, 0.9 * 0.5 * 0.8, 0.9 * 0.5 * 0.8, 0.8^2), 2, 2)
xa <- rnorm(N); xb <- rnorm(N); E <- MASS::mvrnorm(N, c(0, 0), S0)
make <- function(xb) rbind(data.frame(pair = seq_len(N), set = "a", x = xa, y = theta_a[1] + theta_a[2] * xa + E[, 1]), data.frame(pair = seq_len(N), set = "b", x = xb, y = theta_b[1] + theta_b[2] * xb + E[, 2]))
d <- make(xb); d2 <- make(xa)
d$set <- factor(d$set); d2$set <- factor(d2$set)
m1 <- pair_models(d, "data.csv", S0); m2 <- pair_models(d2, "data_same_x.csv", S0)
models <- c(setNames(m1, paste0("distinct_x_", names(m1))), setNames(m2, paste0("same_x_", names(m2))))
finish_case(case, "Simulated: two regressions of 200 rows whose errors are correlated 0.9 within pair, all paired", d,
  units = list(pair = "pair number: rows of a and b with the same number have correlated errors", set = "which regression", x = "regressor", y = "response"), source = list(dataset = "simulated by the script", citation = "none: simulated", licence = "simulated here, no restriction", random_numbers = "set.seed(2021) with RNGkind(Mersenne-Twister, Inversion, Rejection); MASS::mvrnorm; the data file is the authority where a LAPACK differs"),
  models = models, sw = software("nlme", "systemfit", "MASS"), extra_data = list(data_same_x = d2),
  extra = list(truth = list(theta_a = theta_a, theta_b = theta_b, error_sd = c(0.5, 0.8), error_cor = 0.9, n = N)),
  notes = c("data.csv: x of a and x of b are drawn separately, so the pairing carries information about the coefficients; data_same_x.csv: the same errors with x of b equal to x of a, where GLS and SUR give exactly the OLS coefficients (Kruskal)",
    "the sur_iterated_noDfCor and gls_ml answers are the same estimator when every row is paired"))

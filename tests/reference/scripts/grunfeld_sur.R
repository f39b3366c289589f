SCRIPTS_DIR <- local({ f <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)); if (length(f)) dirname(f[1]) else "scripts" })
source(file.path(SCRIPTS_DIR, "_common.R"))
suppressPackageStartupMessages(library(systemfit))
case <- "grunfeld_sur"; dir <- case_dir(case)
data(GrunfeldGreene, package = "systemfit"); data(Grunfeld, package = "AER")
g <- as.data.frame(GrunfeldGreene); g$firm <- factor(as.character(g$firm), levels = levels(g$firm))
a <- as.data.frame(Grunfeld); a$firm <- factor(as.character(a$firm), levels = levels(a$firm))
two <- c("General Electric", "Westinghouse"); five <- c("General Motors", "Chrysler", "General Electric", "Westinghouse", "US Steel")
tag <- c("General Motors" = "GM", "Chrysler" = "CH", "General Electric" = "GE", "Westinghouse" = "WH", "US Steel" = "US")
models <- list()
wide <- function(d, firms) { w <- data.frame(year = sort(unique(d$year)))
  for (f in firms) { z <- d[as.character(d$firm) == f, ]; z <- z[order(z$year), ]; for (v in c("invest", "value", "capital")) w[[paste0(v, "_", tag[[f]])]] <- z[[v]] }
  w }
for (src in c("greene", "original")) for (set in c("two", "five")) {
  firms <- get(set); d <- wide(if (src == "greene") g else a, firms); df <- if (src == "greene") "data.csv" else "data_original.csv"
  eq <- setNames(lapply(firms, function(f) as.formula(sprintf("invest_%s ~ value_%s + capital_%s", tag[[f]], tag[[f]], tag[[f]]))), tag[firms])
  eqs <- arr(lapply(firms, function(f) list(label = tag[[f]], firm = f, response = "invest", regressors = arr(c("(Intercept)", "value", "capital")))))
  for (md in c("ols", "onestep_geomean", "onestep_noDfCor", "iterated_geomean", "iterated_noDfCor")) {
    it <- if (startsWith(md, "iterated")) 2000 else 1; rc <- sub(".*_", "", md); if (md == "ols") rc <- "geomean"
    mth <- if (md == "ols") "OLS" else "SUR"
    fit <- function() systemfit(eq, method = mth, data = d, methodResidCov = rc, maxiter = it, tol = 1e-13)
    cl <- sprintf("systemfit(list(%s), method = \"%s\", methodResidCov = \"%s\", maxiter = %d, tol = 1e-13)", paste(vapply(eq, deparse, ""), collapse = ", "), mth, rc, it)
    k <- paste(src, set, md, sep = "_"); models[[k]] <- sur_record(fit(), cl, df, eqs)
    models[[k]]$divisor <- if (rc == "geomean") "sqrt((T - k_i)(T - k_j))" else "T"
  }
}
finish_case(case, "Grunfeld investment: seemingly unrelated regressions of two and of five firms, 1935-1954", g,
  units = list(invest = "gross investment, million US dollars of 1947", value = "market value of the firm, million US dollars of 1947", capital = "stock of plant and equipment, million US dollars of 1947", firm = "firm", year = "year"),
  source = list(dataset = "data.csv: systemfit::GrunfeldGreene (the five firms as printed in Greene 2003, with known misprints for US Steel); data_original.csv: AER::Grunfeld (all eleven firms, Grunfeld's own figures)",
    citation = "Grunfeld Y (1958). The Determinants of Corporate Investment. PhD thesis, University of Chicago; Greene WH (2003). Econometric Analysis, 5th ed., table F13.1; Zellner A (1962). An efficient method of estimating seemingly unrelated regressions. JASA 57, 348-368; Kleiber C, Zeileis A (2010). The Grunfeld data at 50. German Economic Review 11, 404-417.", licence = LIC_GPL("systemfit and AER")),
  models = models, sw = software("systemfit", "AER"), package_data = "grunfeld", extra_data = list(data_original = a),
  notes = c("data.csv and data_original.csv are long; equation i is the rows of one firm, rows paired by year",
    "GE and Westinghouse are the same in both versions, so greene_two_* and original_two_* agree",
    "geomean divides residual cross-products by sqrt((T-k_i)(T-k_j)), noDfCor by T; iterated_noDfCor is maximum likelihood",
    "residual_cov_used_for_the_weights made the final coefficients and their vcov; residual_cov is that of the final residuals (the two agree at convergence)"))

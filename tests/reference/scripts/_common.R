# Functions shared by the reference-case scripts.  Sourced by every <case>.R.
# Run any of them with:  Rscript scripts/<case>.R   (from anywhere)
# Environment: REFERENCE_OUT is the folder to write the cases to (default: the folder above this one).
options(warn = 1, stringsAsFactors = FALSE)
suppressPackageStartupMessages({ library(Matrix); library(lme4); library(nlme) })
lmer <- lme4::lmer; fixef <- lme4::fixef; ranef <- lme4::ranef; VarCorr <- lme4::VarCorr
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

REF_DIR <- Sys.getenv("REFERENCE_OUT", file.path(SCRIPTS_DIR, ".."))

# ---------------------------------------------------------------- JSON, full double precision
arr <- function(x) { class(x) <- c("json_array", class(x)); x }   # force an array even at length 1
num_txt <- function(x) {                                          # shortest of 15/16/17 digits that reads back
  out <- formatC(x, digits = 15, format = "g", width = 1)
  for (dg in c(16, 17)) {
    bad <- is.finite(x) & (suppressWarnings(as.numeric(out)) != x)
    if (any(bad)) out[bad] <- formatC(x[bad], digits = dg, format = "g", width = 1)
  }
  out[!is.finite(x)] <- "null"
  out
}
str_txt <- function(s) {
  s <- gsub("\\", "\\\\", enc2utf8(as.character(s)), fixed = TRUE)
  s <- gsub("\"", "\\\"", s, fixed = TRUE)
  s <- gsub("\n", "\\n", s, fixed = TRUE); s <- gsub("\t", "\\t", s, fixed = TRUE)
  ifelse(is.na(s), "null", paste0("\"", s, "\""))
}
to_json <- function(x, ind = 0) {
  pad <- strrep(" ", ind + 1); end <- strrep(" ", ind)
  is_arr <- inherits(x, "json_array")
  if (is.null(x)) return("null")
  if (is_arr) class(x) <- setdiff(class(x), "json_array")
  if (is.factor(x)) x <- as.character(x)
  if (inherits(x, "Matrix")) x <- as.matrix(x)
  if (is.array(x) && length(dim(x)) == 3) {                       # third index first (one matrix per level)
    return(paste0("[", paste(vapply(seq_len(dim(x)[3]), function(i)
      to_json(matrix(x[, , i], dim(x)[1], dim(x)[2]), ind + 1), ""), collapse = ",\n"), "]"))
  }
  if (is.matrix(x)) {
    if (nrow(x) == 0) return("[]")
    rows <- vapply(seq_len(nrow(x)), function(i) to_json(arr(as.vector(x[i, ])), 0), "")
    return(paste0("[", paste(rows, collapse = paste0(",\n", pad)), "]"))
  }
  if (is.list(x)) {
    if (!is.null(names(x)) && !is_arr) {
      if (length(x) == 0) return("{}")
      kv <- vapply(seq_along(x), function(i)
        paste0(pad, str_txt(names(x)[i]), ": ", to_json(x[[i]], ind + 1)), "")
      return(paste0("{\n", paste(kv, collapse = ",\n"), "\n", end, "}"))
    }
    if (length(x) == 0) return("[]")
    return(paste0("[", paste(vapply(x, function(e) to_json(e, ind + 1), ""), collapse = ",\n"), "]"))
  }
  txt <- if (is.character(x)) str_txt(x) else if (is.logical(x)) ifelse(is.na(x), "null", tolower(as.character(x)))
         else if (is.numeric(x)) num_txt(as.numeric(x)) else stop("cannot write ", class(x)[1])
  if (length(x) == 1 && !is_arr) txt else paste0("[", paste(txt, collapse = ", "), "]")
}

# ---------------------------------------------------------------- CSV, full double precision
csv_lines <- function(d) {
  cols <- lapply(d, function(v) {
    s <- if (is.numeric(v)) num_txt(v) else as.character(v)
    if (!is.numeric(v)) { q <- grepl("[\",]", s); s[q] <- paste0("\"", gsub("\"", "\"\"", s[q]), "\"") }
    s[is.na(v)] <- ""
    s
  })
  c(paste(names(d), collapse = ","), do.call(paste, c(cols, sep = ",")))
}
write_csv <- function(d, dir, stem, gz_above = 1e6) {             # .csv, or .csv.gz above 1 MB; returns the file name
  txt <- csv_lines(d)
  plain <- file.path(dir, paste0(stem, ".csv")); gz <- paste0(plain, ".gz")
  unlink(c(plain, gz))
  if (sum(nchar(txt) + 1) > gz_above) { con <- gzfile(gz, "w", compression = 9); f <- gz } else { con <- file(plain, "w"); f <- plain }
  writeLines(txt, con); close(con)
  stopifnot(file.info(f)$size < 8e6)
  basename(f)
}
describe_columns <- function(d, units = list()) {
  lapply(setNames(names(d), names(d)), function(n) {
    v <- d[[n]]
    r <- list(type = if (is.numeric(v)) "numeric" else "categorical")
    if (!is.null(units[[n]])) r$about <- units[[n]]
    if (is.factor(v) && nlevels(v) <= 200) r$levels <- arr(levels(v))
    if (is.factor(v)) r$n_levels <- nlevels(v)
    r
  })
}

software <- function(...) {
  pk <- c(...)
  c(list(R = R.version.string, platform = R.version$platform,
         blas_lapack = paste(basename(La_library()), La_version())),
    setNames(lapply(pk, function(p) as.character(packageVersion(p))), pk))
}

# ---------------------------------------------------------------- optimum, made exact
fd_grad <- function(f, x, h = 1e-3) vapply(seq_along(x), function(i) {   # 4th-order central differences
  e <- replace(numeric(length(x)), i, h * max(abs(x[i]), 0.05))
  (f(x - 2 * e) - 8 * f(x - e) + 8 * f(x + e) - f(x + 2 * e)) / (12 * max(e))
}, 0)
fd_hess <- function(f, x, h = 2e-3) {
  k <- length(x); s <- h * pmax(abs(x), 0.05); f0 <- f(x); H <- matrix(0, k, k)
  u <- function(i) replace(numeric(k), i, s[i])
  for (i in seq_len(k)) {
    H[i, i] <- (-f(x + 2 * u(i)) + 16 * f(x + u(i)) - 30 * f0 + 16 * f(x - u(i)) - f(x - 2 * u(i))) / (12 * s[i]^2)
    for (j in seq_len(i - 1)) H[i, j] <- H[j, i] <-
      (f(x + u(i) + u(j)) - f(x + u(i) - u(j)) - f(x - u(i) + u(j)) + f(x - u(i) - u(j))) / (4 * s[i] * s[j])
  }
  H
}
newton_polish <- function(f, x, free = rep(TRUE, length(x)), iter = 6, tol = 1e-11, h = 1e-3) {
  g <- function(z) f(replace(x, free, z)); z <- x[free]
  if (!length(z)) return(list(par = x, value = f(x), gradient = numeric(0), step = 0))
  for (it in seq_len(iter)) {
    H <- fd_hess(g, z, 2 * h); st <- -solve(H, fd_grad(g, z, h)); z <- z + st
    if (max(abs(st) / pmax(abs(z), 1e-3)) < tol) break
  }
  x[free] <- z
  list(par = x, value = f(x), gradient = fd_grad(g, z, h), step = max(abs(st) / pmax(abs(z), 1e-3)), hessian = H)
}

# lmer, then theta moved to the exact optimum of the same criterion (Newton on lme4's own deviance function).
lmer_exact <- function(formula, data, REML = TRUE, contrasts = NULL, iter = 6) {
  cl <- lmerControl(check.conv.singular = "ignore")
  lf <- lFormula(formula, data = data, REML = REML, contrasts = contrasts, control = cl)
  dv <- do.call(mkLmerDevfun, lf)
  op <- optimizeLmer(dv)
  th0 <- op$par; lo <- lf$reTrms$lower; th <- th0; fixed0 <- rep(FALSE, length(th))
  for (i in which(lo == 0 & abs(th) < 1e-3)) {                    # on the boundary?
    z <- replace(th, i, 0); if (dv(z) <= dv(th) + 1e-9) { th <- z; fixed0[i] <- TRUE } }
  pl <- newton_polish(function(t) dv(t), th, !fixed0, iter)
  stopifnot(pl$value <= op$fval + 1e-7)
  op$par <- pl$par; op$fval <- dv(pl$par)                         # leaves the environment at the optimum
  fit <- mkMerMod(environment(dv), op, lf$reTrms, fr = lf$fr)
  crit0 <- dv(th0); dv(pl$par)
  attr(fit, "exact") <- list(theta_default = th0, criterion_default = crit0, at_zero = fixed0,
    max_abs_gradient = max(0, abs(pl$gradient)), last_step = pl$step)
  fit
}

# ---------------------------------------------------------------- design of coefficients, in terms of CSV columns
coef_spec <- function(names, data) lapply(names, function(nm) {
  if (nm == "(Intercept)") return(list(name = nm, product = arr(list())))
  parts <- strsplit(nm, ":", fixed = TRUE)[[1]]
  fac <- lapply(parts, function(p) {
    if (p %in% colnames(data) && is.numeric(data[[p]])) return(list(column = p))
    for (cn in colnames(data)[vapply(data, function(v) is.factor(v) || is.character(v), TRUE)])
      if (startsWith(p, cn) && substring(p, nchar(cn) + 1) %in% unique(as.character(data[[cn]])))
        return(list(column = cn, level = substring(p, nchar(cn) + 1)))
    stop("no CSV column for coefficient part ", p)
  })
  list(name = nm, product = arr(fac))
})
fix_record <- function(b, V, data) {
  if (!length(b)) return(list(names = arr(character(0)), estimate = arr(numeric(0)), se = arr(numeric(0)), vcov = matrix(0, 0, 0), design = arr(list())))
  V <- as.matrix(V)
  list(names = arr(names(b)), estimate = arr(unname(b)), se = arr(unname(sqrt(diag(V)))), vcov = unname(V), design = coef_spec(names(b), data))
}
cov_record <- function(group, terms, S, data, n_levels) {
  S <- unname(as.matrix(S)); sd <- sqrt(diag(S)); ok <- all(sd > 0)
  list(group = group, n_levels = n_levels, terms = arr(terms), design = coef_spec(terms, data),
       sd = arr(sd), variance = arr(diag(S)), cov = S, cor = if (length(sd) == 1) matrix(1, 1, 1) else if (ok) { C <- S / outer(sd, sd); diag(C) <- 1; C } else NULL)
}

# Conditional modes: mode, cond_sd (beta held at its estimate: lme4's condVar), pev_sd (beta integrated out under a flat prior).
ranef_pack <- function(lev, terms, mode, ccov, pcov, dir, stem, inline_max = 3000) {
  k <- length(terms)
  sds <- function(a) sqrt(matrix(vapply(seq_len(k), function(j) a[j, j, ], numeric(length(lev))), ncol = k))   # levels x terms
  csd <- sds(ccov); psd <- sds(pcov)
  r <- list(terms = arr(terms), n_levels = length(lev))
  if (length(lev) > inline_max) {
    d <- data.frame(level = lev); for (j in seq_len(k)) { d[[paste0("mode_", j)]] <- mode[, j]; d[[paste0("cond_sd_", j)]] <- csd[, j]; d[[paste0("pev_sd_", j)]] <- psd[, j] }
    r$file <- write_csv(d, dir, stem, gz_above = 1e5); r$file_columns <- arr(names(d))
    h <- seq_len(10)
    r$head <- list(levels = arr(lev[h]), mode = mode[h, , drop = FALSE], cond_sd = csd[h, , drop = FALSE], pev_sd = psd[h, , drop = FALSE])
    r$sum_of_squares_of_mode <- arr(colSums(mode^2))
  } else {
    r <- c(r, list(levels = arr(lev), mode = mode, cond_sd = csd, pev_sd = psd))
    if (k > 1) { r$cond_cov <- ccov; r$pev_cov <- pcov }
  }
  r
}

crit_record <- function(ll, REML, n, p, npar) {
  r <- list(estimator = if (REML) "REML" else "ML")
  if (REML) r$minus2_restricted_loglik <- -2 * ll else r$minus2_loglik <- -2 * ll
  r$logLik <- ll; r$n_parameters <- npar; r$AIC <- -2 * ll + 2 * npar; r$BIC_n <- -2 * ll + log(n) * npar
  r
}

lmm_record <- function(fit, data, call, dir, key, sidecar = FALSE) {
  ex <- attr(fit, "exact"); b <- getME(fit, "beta"); names(b) <- colnames(getME(fit, "X"))
  p <- length(b); n <- nobs(fit); REML <- isREML(fit); s <- sigma(fit)
  V <- if (p) as.matrix(vcov(fit)) else matrix(0, 0, 0)
  L <- getME(fit, "L"); Lt <- getME(fit, "Lambdat"); Zt <- getME(fit, "Zt"); X <- getME(fit, "X")
  A <- solve(L, Lt, system = "A")                                 # (Lambda'Z'Z Lambda + I)^-1 Lambda'
  CV <- s^2 * (t(Lt) %*% A)                                       # conditional covariance of b given beta
  K <- if (p) as.matrix(t(Lt) %*% solve(L, Lt %*% (Zt %*% X), system = "A")) else matrix(0, nrow(Zt), 0)
  rt <- fit@cnms; fl <- fit@flist; asg <- attr(fl, "assign"); Gp <- fit@Gp; bm <- as.vector(getME(fit, "b")); th <- getME(fit, "theta")
  random <- list(); re <- list(); vc <- VarCorr(fit)
  for (i in seq_along(rt)) {
    k <- length(rt[[i]]); idx <- (Gp[i] + 1):Gp[i + 1]; lev <- levels(fl[[asg[i]]]); m <- length(lev)
    S <- matrix(as.numeric(vc[[i]]), k, k)
    random[[i]] <- cov_record(names(fl)[asg[i]], rt[[i]], S, data, m)
    cc <- array(0, c(k, k, m)); pc <- cc
    if (k == 1) {
      cc[1, 1, ] <- diag(CV)[idx]; Ki <- K[idx, , drop = FALSE]; pc[1, 1, ] <- cc[1, 1, ] + rowSums((Ki %*% V) * Ki)
    } else for (j in seq_len(m)) {
      ii <- idx[(j - 1) * k + seq_len(k)]; Kj <- K[ii, , drop = FALSE]
      cc[, , j] <- as.matrix(CV[ii, ii]); pc[, , j] <- cc[, , j] + Kj %*% V %*% t(Kj)
    }
    nm <- paste0(names(fl)[asg[i]], if (sum(asg == asg[i]) > 1) paste0(".", i) else "")
    re[[nm]] <- ranef_pack(lev, rt[[i]], matrix(bm[idx], m, k, byrow = TRUE), cc, pc, dir, paste0("ranef_", key, "_", gsub("[^A-Za-z0-9]", "_", nm)))
  }
  ll <- as.numeric(logLik(fit)); npar <- attr(logLik(fit), "df")
  out <- list(kind = "gaussian_lmm", software = "lme4", call = call, response = names(fit@frame)[1], n_obs = n,
       fixef = fix_record(b, V, data), random = arr(random), residual = list(sd = s, variance = s^2),
       theta = arr(unname(th)), criterion = crit_record(ll, REML, n, p, npar), ranef = re,
       singular = isSingular(fit))
  if (REML) out$criterion$minus2_loglik_at_the_REML_estimate <- -2 * as.numeric(logLik(fit, REML = FALSE))
  out$accuracy <- list(how = "lmer at its default control, then theta taken to the exact optimum of lme4's own criterion by Newton steps",
       theta_of_default_lmer = arr(unname(ex$theta_default)), criterion_of_default_lmer = ex$criterion_default,
       max_abs_gradient_in_theta = ex$max_abs_gradient, last_relative_newton_step = ex$last_step)
  out
}

# ---------------------------------------------------------------- dense Gaussian model for the heteroscedastic (nlme) cases
# G: full covariance of the stacked random effects, R: residual variances.  Returns everything at given variance parameters.
dense_gauss <- function(y, X, Z, G, Rv, REML) {
  n <- length(y); p <- ncol(X)
  V <- Z %*% G %*% t(Z); diag(V) <- diag(V) + Rv
  C <- chol(V); Xs <- backsolve(C, X, transpose = TRUE); ys <- backsolve(C, y, transpose = TRUE)
  XtX <- crossprod(Xs); b <- solve(XtX, crossprod(Xs, ys)); r <- ys - Xs %*% b
  ll <- -0.5 * ((n - REML * p) * log(2 * pi) + 2 * sum(log(diag(C))) + sum(r^2) + if (REML) as.numeric(determinant(XtX)$modulus) else 0)
  list(logLik = ll, beta = setNames(as.vector(b), colnames(X)), vcov = solve(XtX), V = V, C = C)
}
dense_blup <- function(fit, y, X, Z, G) {
  Vi <- chol2inv(fit$C); GZ <- G %*% t(Z); r <- y - X %*% fit$beta
  u <- as.vector(GZ %*% (Vi %*% r)); CV <- G - GZ %*% Vi %*% t(GZ); K <- GZ %*% Vi %*% X
  list(mode = u, cond = CV, pev = CV + K %*% fit$vcov %*% t(K))
}
level_blocks <- function(M, m, k) { a <- array(0, c(k, k, m)); for (j in seq_len(m)) { ii <- (j - 1) * k + seq_len(k); a[, , j] <- M[ii, ii] }; a }
rel_diff <- function(a, b) max(abs(unname(a) - unname(b)) / pmax(abs(unname(b)), 1e-8))

nlme_sds <- function(nl) lapply(nl$modelStruct$reStruct, function(p) sqrt(diag(as.matrix(p))) * nl$sigma)   # outermost level last

# One grouping factor, k correlated effects (columns zc of data; "(Intercept)" allowed), residual sd by the factor `by`.
# nl: an nlme::lme fit of the same model; its answer is moved to the exact optimum of an independently coded dense criterion.
hetero_record <- function(nl, formula, data, group, zc, by, REML, call) {
  mf <- model.frame(formula, data); y <- model.response(mf); X <- model.matrix(formula, data); n <- length(y); p <- ncol(X)
  g <- factor(data[[group]]); lev <- levels(g); m <- length(lev); k <- length(zc); bl <- levels(factor(data[[by]])); bi <- as.integer(factor(data[[by]], levels = bl))
  zz <- sapply(zc, function(z) if (z == "(Intercept)") rep(1, n) else data[[z]]); Z <- matrix(0, n, m * k)
  for (j in seq_len(k)) Z[cbind(seq_len(n), (as.integer(g) - 1) * k + j)] <- zz[, j]
  lt <- which(lower.tri(diag(k), diag = TRUE)); isd <- which(row(diag(k))[lt] == col(diag(k))[lt])
  unpack <- function(par) { L <- matrix(0, k, k); v <- par[seq_along(lt)]; v[isd] <- exp(v[isd]); L[lt] <- v
    list(S = L %*% t(L), sd = exp(par[-seq_along(lt)])) }
  build <- function(par) { u <- unpack(par); c(u, list(G = kronecker(diag(m), u$S), Rv = u$sd[bi]^2)) }
  crit <- function(par) { u <- build(par); -2 * dense_gauss(y, X, Z, u$G, u$Rv, REML)$logLik }
  S0 <- matrix(as.numeric(nlme::getVarCov(nl)), k, k); w <- coef(nl$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)[bl]
  L0 <- t(chol(S0))[lt]; L0[isd] <- log(L0[isd]); par0 <- c(L0, log(nl$sigma * w))
  pl <- newton_polish(crit, unname(par0), iter = 8)
  stopifnot(pl$value <= crit(unname(par0)) + 1e-7)
  u <- build(pl$par); ft <- dense_gauss(y, X, Z, u$G, u$Rv, REML); bp <- dense_blup(ft, y, X, Z, u$G)
  npar <- p + length(pl$par)
  out <- list(kind = "gaussian_lmm", software = "nlme", call = call, response = all.vars(formula)[1], n_obs = n, fixef = fix_record(ft$beta, ft$vcov, data),
    random = arr(list(cov_record(group, zc, u$S, data, m))),
    residual = list(by = by, levels = arr(bl), sd = arr(u$sd), variance = arr(u$sd^2), nlme_sigma = u$sd[1], nlme_varIdent_ratios = arr(u$sd / u$sd[1])),
    criterion = crit_record(ft$logLik, REML, n, p, npar),
    ranef = setNames(list(ranef_pack(lev, zc, matrix(bp$mode, m, k, byrow = TRUE), level_blocks(bp$cond, m, k), level_blocks(bp$pev, m, k), NULL, NULL)), group))
  out$accuracy <- list(how = "nlme::lme, then the variance parameters taken to the exact optimum of the same criterion, coded densely and independently, by Newton steps",
    nlme_itself = list(logLik = as.numeric(logLik(nl)), fixef = arr(unname(nlme::fixef(nl))), residual_sd = arr(unname(nl$sigma * w)), cov = unname(S0)),
    log_sd_se = list(names = arr(paste0("log residual sd, ", by, " ", bl)), se = arr(sqrt(diag(2 * solve(pl$hessian)))[-seq_along(lt)])),
    max_abs_gradient = max(abs(pl$gradient)), last_relative_newton_step = pl$step)
  out
}

# ---------------------------------------------------------------- seemingly unrelated regressions (systemfit)
sur_record <- function(fit, call, data_file, equations) {
  b <- coef(fit); V <- vcov(fit); S <- fit$residCovEst; F <- fit$residCov
  if (is.null(S)) S <- F
  list(kind = "sur", software = "systemfit", call = call, data_file = data_file, method = fit$method, equations = equations,
    coef = list(names = arr(names(b)), estimate = arr(unname(b)), se = arr(unname(sqrt(diag(V)))), vcov = unname(V)),
    residual_cov_used_for_the_weights = unname(as.matrix(S)), residual_cor_used_for_the_weights = unname(cov2cor(as.matrix(S))),
    residual_cov = unname(as.matrix(F)), residual_cor = unname(cov2cor(as.matrix(F))), residual_sd = arr(unname(sqrt(diag(as.matrix(F))))),
    equation_labels = arr(vapply(fit$eq, function(e) e$eqnLabel, "")), df_residual = arr(vapply(fit$eq, function(e) as.numeric(e$df.residual), 0)),
    iterations = fit$iter, logLik = as.numeric(logLik(fit)))
}

# ---------------------------------------------------------------- two regressions, errors correlated within pair, rows may be missing
pair_parts <- function(d) {
  a <- d[d$set == "a", ]; b <- d[d$set == "b", ]; both <- intersect(a$pair, b$pair)
  P <- function(z, ids) { z <- z[match(ids, z$pair), ]; list(X = cbind(rep(1, nrow(z)), z$x), y = z$y) }
  list(ab = list(a = P(a, both), b = P(b, both), n = length(both)), a = P(a, setdiff(a$pair, both)), b = P(b, setdiff(b$pair, both)))
}
pair_gls <- function(pp, S, REML = FALSE) {
  W <- solve(S); A <- pp$ab$a; B <- pp$ab$b; n2 <- pp$ab$n; na <- length(pp$a$y); nb <- length(pp$b$y); n <- 2 * n2 + na + nb
  M <- rbind(cbind(W[1, 1] * crossprod(A$X) + crossprod(pp$a$X) / S[1, 1], W[1, 2] * crossprod(A$X, B$X)),
             cbind(W[1, 2] * crossprod(B$X, A$X), W[2, 2] * crossprod(B$X) + crossprod(pp$b$X) / S[2, 2]))
  v <- c(W[1, 1] * crossprod(A$X, A$y) + W[1, 2] * crossprod(A$X, B$y) + crossprod(pp$a$X, pp$a$y) / S[1, 1],
         W[1, 2] * crossprod(B$X, A$y) + W[2, 2] * crossprod(B$X, B$y) + crossprod(pp$b$X, pp$b$y) / S[2, 2])
  th <- solve(M, v)
  ra <- A$y - A$X %*% th[1:2]; rb <- B$y - B$X %*% th[3:4]; r1 <- pp$a$y - pp$a$X %*% th[1:2]; r2 <- pp$b$y - pp$b$X %*% th[3:4]
  q <- W[1, 1] * sum(ra^2) + 2 * W[1, 2] * sum(ra * rb) + W[2, 2] * sum(rb^2) + sum(r1^2) / S[1, 1] + sum(r2^2) / S[2, 2]
  ll <- -0.5 * ((n - REML * 4) * log(2 * pi) + n2 * log(det(S)) + na * log(S[1, 1]) + nb * log(S[2, 2]) + q + if (REML) log(det(M)) else 0)
  list(theta = th, vcov = solve(M), logLik = ll)
}
PAIR_NAMES <- c("a:(Intercept)", "a:x", "b:(Intercept)", "b:x")
pair_coef <- function(th, V) list(names = arr(PAIR_NAMES), estimate = arr(unname(th)), se = arr(unname(sqrt(diag(V)))), vcov = unname(V))
pair_cov <- function(S) list(sd = arr(sqrt(diag(S))), cor = S[1, 2] / sqrt(S[1, 1] * S[2, 2]), cov = S)
pair_models <- function(d, data_file, S0) {
  suppressPackageStartupMessages(library(systemfit))
  pp <- pair_parts(d); out <- list()
  counts <- list(both = pp$ab$n, only_a = length(pp$a$y), only_b = length(pp$b$y))
  base <- list(kind = "paired_regression", data_file = data_file, pairs = counts)
  oa <- lm(y ~ x, d, subset = set == "a"); ob <- lm(y ~ x, d, subset = set == "b"); V <- matrix(0, 4, 4); V[1:2, 1:2] <- vcov(oa); V[3:4, 3:4] <- vcov(ob)
  out$ols <- c(base, list(software = "stats", call = "lm(y ~ x) in each set by itself, all its rows", coef = pair_coef(c(coef(oa), coef(ob)), V), residual_sd = arr(c(summary(oa)$sigma, summary(ob)$sigma))))
  g <- pair_gls(pp, S0)
  out$gls_known_covariance <- c(base, list(software = "closed form", call = "theta = (X'V^-1 X)^-1 X'V^-1 y with the covariance that made the data, all rows", coef = pair_coef(g$theta, g$vcov), residual = pair_cov(S0), minus2_loglik = -2 * g$logLik))
  k <- d[d$pair %in% intersect(d$pair[d$set == "a"], d$pair[d$set == "b"]), ]
  if (nrow(k) < nrow(d)) { g2 <- pair_gls(pair_parts(k), S0)
    out$gls_known_covariance_complete_pairs <- c(base, list(software = "closed form", call = "the same on the complete pairs only", coef = pair_coef(g2$theta, g2$vcov), residual = pair_cov(S0), minus2_loglik = -2 * g2$logLik)) }
  w <- merge(k[k$set == "a", c("pair", "x", "y")], k[k$set == "b", c("pair", "x", "y")], by = "pair", suffixes = c("_a", "_b")); w <- w[order(w$pair), ]
  for (mt in c("geomean", "noDfCor")) for (it in c(1, 1000)) {
    sf <- systemfit(list(a = y_a ~ x_a, b = y_b ~ x_b), method = "SUR", data = w, methodResidCov = mt, maxiter = it, tol = 1e-13)
    nm <- paste0("sur_", if (it == 1) "onestep" else "iterated", "_", mt)
    out[[nm]] <- c(base, list(software = "systemfit", call = sprintf("systemfit(list(a = y_a ~ x_a, b = y_b ~ x_b), method = \"SUR\", methodResidCov = \"%s\", maxiter = %g, tol = 1e-13), complete pairs only", mt, it),
      n_complete_pairs = nrow(w), coef = pair_coef(coef(sf), vcov(sf)), weights_from = pair_cov(unname(as.matrix(sf$residCovEst))), residual = pair_cov(unname(as.matrix(sf$residCov))), iterations = sf$iter))
  }
  d$pos <- ifelse(d$set == "a", 1L, 2L); d <- d[order(d$pair, d$pos), ]
  for (R in c(FALSE, TRUE)) {
    gl <- nlme::gls(y ~ 0 + set + set:x, d, correlation = nlme::corSymm(form = ~ pos | pair), weights = nlme::varIdent(form = ~ 1 | set), method = if (R) "REML" else "ML",
              control = nlme::glsControl(tolerance = 1e-10, msTol = 1e-12, msMaxIter = 500, maxIter = 500))
    w1 <- coef(gl$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE); sd0 <- gl$sigma * w1[c("a", "b")]; rho0 <- coef(gl$modelStruct$corStruct, unconstrained = FALSE)
    Sf <- function(p) { s <- exp(p[1:2]); r <- tanh(p[3]); matrix(c(s[1]^2, r * s[1] * s[2], r * s[1] * s[2], s[2]^2), 2, 2) }
    cr <- function(p) -2 * pair_gls(pp, Sf(p), R)$logLik
    p0 <- unname(c(log(sd0), atanh(rho0))); pl <- newton_polish(cr, p0, iter = 8); S <- Sf(pl$par); g <- pair_gls(pp, S, R)
    se3 <- sqrt(diag(2 * solve(pl$hessian)))
    out[[paste0("gls_", if (R) "reml" else "ml")]] <- c(base, list(software = "nlme", call = sprintf("gls(y ~ 0 + set + set:x, correlation = corSymm(form = ~ pos | pair), weights = varIdent(form = ~ 1 | set), method = \"%s\"), all rows; pos is 1 for a, 2 for b", if (R) "REML" else "ML"),
      coef = pair_coef(g$theta, g$vcov), residual = c(pair_cov(S), list(se_log_sd = arr(se3[1:2]), se_atanh_cor = se3[3])), estimator = if (R) "REML" else "ML",
      criterion = if (R) list(minus2_restricted_loglik = -2 * g$logLik) else list(minus2_loglik = -2 * g$logLik),
      accuracy = list(how = "nlme::gls, then (log sd, log sd, atanh cor) taken to the exact optimum of the same criterion, coded independently, by Newton steps",
        nlme_itself = list(logLik = as.numeric(logLik(gl)), coef = arr(unname(coef(gl))), coef_names = arr(names(coef(gl))), sd = arr(unname(sd0)), cor = unname(rho0), criterion_here_at_nlme_estimate = cr(p0)), max_abs_gradient = max(abs(pl$gradient)), last_relative_newton_step = pl$step)))
  }
  out
}

# ---------------------------------------------------------------- write a case
# package_data: name of the data set of the package that holds the same table; no data.csv is written then.
finish_case <- function(case, title, data, units, source, models, sw, notes = character(0), extra = list(), extra_data = list(), package_data = NULL, gz_above = 1e6) {
  dir <- case_dir(case)
  where <- if (is.null(package_data)) list(file = write_csv(data, dir, "data", gz_above)) else list(package_data = package_data)
  dd <- c(where, list(n_rows = nrow(data), columns = describe_columns(data, units)))
  more <- lapply(names(extra_data), function(s) { e <- extra_data[[s]]; list(file = write_csv(e, dir, s), n_rows = nrow(e), columns = describe_columns(e, units)) })
  if (length(more)) dd$more_files <- arr(more)
  dd$source <- source
  j <- c(list(schema = "hierreg-reference/1", case = case, title = title, data = dd,
              software = sw, script = paste0("scripts/", case, ".R"), models = models), extra)
  j$conventions <- CONVENTIONS
  j$notes <- arr(notes)
  con <- file(file.path(dir, "expected.json"), "w", encoding = "UTF-8"); writeLines(to_json(j), con); close(con)
  cat("wrote", case, "\n")
}
case_dir <- function(case) { d <- file.path(REF_DIR, case); dir.create(d, recursive = TRUE, showWarnings = FALSE); d }
CONVENTIONS <- list(
  reml = "minus2_restricted_loglik = (n-p) log(2 pi) + log|V| + log|X'V^-1 X| + r'V^-1 r; no + log|X'X| term is dropped or added, so it depends on how X is coded; lme4 and nlme agree on it",
  ml = "minus2_loglik = n log(2 pi) + log|V| + r'V^-1 r",
  fixef_vcov = "(X'V^-1 X)^-1 at the estimated variances, no small-sample (Kenward-Roger) correction",
  cond_sd = "sd of b given y with the variances AND beta held at their estimates (lme4 condVar)",
  pev_sd = "sd of b given y with the variances held at their estimates and beta integrated out under a flat prior (prediction error of the BLUP); this is the Gaussian posterior sd given the variances",
  design = "each coefficient is the product of the CSV columns named in its 'product' (indicator of 'level' where one is given); an empty product is the intercept",
  factors = "treatment contrasts against the first level listed under data.columns, unless a note says otherwise",
  matrices = "row by row; per-level arrays follow the order of 'levels'")
LIC_GPL <- function(p) paste0("as distributed in R package ", p, ", GPL (version 2 or later); the figures themselves were published in the work cited")

# The posterior with brms and rstan, started as: Rscript brms_fit.R table.csv formula out.json draws.csv
# The Stan program is compiled first, on its own clock; update() then samples without compiling again.
arguments <- commandArgs(trailingOnly = TRUE)
suppressPackageStartupMessages(library(brms))
table <- read.csv(arguments[1], stringsAsFactors = TRUE)
formula <- as.formula(arguments[2])
if (!file.exists(rstan::rstan_options("boost_lib"))) {
  rstan::rstan_options(boost_lib = "/usr/include") # where Debian keeps Boost; its BH has no headers
}
options(mc.cores = parallel::detectCores())
clock <- function() proc.time()[["elapsed"]]
processor <- function() sum(proc.time()[c("user.self", "sys.self", "user.child", "sys.child")])
begin <- clock()
cpu <- processor()
empty <- brm(formula, table, chains = 0, seed = 1, refresh = 0)
compiled <- clock()
fit <- update(empty, chains = 4, iter = 2000, seed = 1, refresh = 0, recompile = FALSE)
print(summary(fit))
end <- clock()
cpu <- processor() - cpu
draws <- as_draws_df(fit)
keep <- grep("^(b_|sd_|cor_|sigma)", names(draws), value = TRUE)
write.csv(as.data.frame(draws)[, c(".chain", ".draw", keep)], arguments[4], row.names = FALSE)
steps <- subset(nuts_params(fit), Parameter == "n_leapfrog__")$Value
divergent <- subset(nuts_params(fit), Parameter == "divergent__")$Value
cat(sprintf(
  '{"compile": %s, "cpu": %s, "sample": %s, "version": "%s", "rstan": "%s", "steps": %s, "divergences": %s}\n',
  format(compiled - begin, digits = 10), format(cpu, digits = 10), format(end - compiled, digits = 10), packageVersion("brms"),
  packageVersion("rstan"), format(sum(steps)), format(sum(divergent))
), file = arguments[3])

# REML with lme4, started as: Rscript lme4_fit.R table.csv formula group out.json
# Reading the table and turning the groups into a factor are not part of the time; they are done before it.
arguments <- commandArgs(trailingOnly = TRUE)
suppressPackageStartupMessages(library(lme4))
table <- read.csv(arguments[1], stringsAsFactors = TRUE)
formula <- as.formula(arguments[2])
begin <- proc.time()
fit <- lmer(formula, table, REML = TRUE)
took <- proc.time() - begin
print(summary(fit, correlation = FALSE))
variances <- as.data.frame(VarCorr(fit))
sds <- variances$sdcor[is.na(variances$var2)]
number <- function(x) format(x, digits = 10)
cat(sprintf(
  '{"seconds": %s, "cpu": %s, "criterion": %s, "beta": [%s], "sd": [%s], "version": "%s", "r": "%s", "blas": "%s", "message": "%s"}\n',
  number(took[["elapsed"]]), number(took[["user.self"]] + took[["sys.self"]]), number(REMLcrit(fit)), paste(number(fixef(fit)), collapse = ", "),
  paste(number(sds), collapse = ", "), packageVersion("lme4"), getRversion(), sessionInfo()$BLAS,
  gsub("[\"\\[:cntrl:]]", " ", paste(fit@optinfo$conv$lme4$messages, collapse = "; "))
), file = arguments[4])

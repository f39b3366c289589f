"""Names that users of lme4, brms, bambi, PyMC, statsmodels and scikit-learn try first, and what hierreg calls it."""

_DRAWS = "the number of draws of each chain is draws="
_WARM_UP = "the warm-up of each chain is tune="
_CORES = "chains run on cores="
_REML = "Model.estimate('reml') and Model.estimate('ml') are point estimates; Model.sample draws from the posterior"

SAMPLE = {
    **dict.fromkeys(("samples", "n_samples", "num_samples", "iter", "iterations", "n_iter", "iter_sampling"), _DRAWS),
    **dict.fromkeys(("warmup", "burn", "burn_in", "burnin", "n_tune", "num_warmup", "iter_warmup"), _WARM_UP),
    **dict.fromkeys(("n_chains", "num_chains", "nchains"), "the number of chains is chains="),
    **dict.fromkeys(("n_jobs", "njobs", "parallel_chains"), _CORES),
    "thin": "draws are kept as they are; arviz.thin(tree) takes some of them",
    "adapt_delta": "the acceptance probability is target_accept=",
    "max_treedepth": "the depth of trees is fixed; target_accept= is what helps against divergences",
    "progressbar": "a progress bar is progress=",
    "step": "NUTS and importance sampling are chosen by method=",
    "nuts_sampler": "the sampler is sampler=",
    "inference_method": "NUTS and importance sampling are chosen by method=",
    "idata_kwargs": "further groups are include=, as in include=['log_likelihood']",
    "REML": _REML,
    "return_inferencedata": "a DataTree, which ArviZ reads, is what is always returned",
}
ESTIMATE = {
    "REML": "write method='reml' or method='ml'",
    "reml": "write method='reml' or method='ml'",
    "nAGQ": "write method='quadrature', nodes=",
    **dict.fromkeys(("seed", "random_seed"), "an estimate has no random numbers"),
    "draws": "Model.sample draws from the posterior",
}
MODEL = {
    "REML": _REML,
    "prior": "priors are priors=hr.Priors(...)",
    "link": "the link belongs to the family, as in family=hr.Bernoulli(link='probit')",
    "groups": "groups belong to the formula, as in 'y ~ x + (x | g)'",
    "re_formula": "groups belong to the formula, as in 'y ~ x + (x | g)'",
    "vc_formula": "groups belong to the formula, as in 'y ~ x + (1 | g)'",
    "group_specific": "groups belong to the formula, as in 'y ~ x + (x | g)'",
    "noncentered": "the marginal likelihood needs no parametrization of group effects; see Model.sample",
    "correlation": "correlated errors are errors=hr.correlated(...), hr.exchangeable(...) or hr.ar1(...)",
    "dropna": "rows with missing values are never dropped: remove them from the table",
    "se": "known standard errors are errors=hr.known_se('column')",
    "sigma": "known standard errors are errors=hr.known_se('column'), priors are priors=hr.Priors(error_sd=...)",
}

_RESULT = "tree = model.sample(seed=1), then "
METHODS = {
    "fit": "model.sample(seed=1) draws from the posterior, model.estimate() is the REML estimate",
    "predict": "hr.predict(model, newdata, at=tree), where tree is model.sample(seed=1) or model.estimate()",
    "posterior_predictive": f"{_RESULT}hr.posterior_predictive(tree, model)",
    "prior_predictive": "write hr.prior_predictive(model)",
    "sample_posterior_predictive": f"{_RESULT}hr.posterior_predictive(tree, model)",
    "compute_log_likelihood": f"{_RESULT}hr.log_likelihood(tree, model)",
    "log_likelihood": f"{_RESULT}hr.log_likelihood(tree, model)",
    "log_prior": f"{_RESULT}hr.log_prior(tree, model)",
    "summary": f"{_RESULT}hr.summary(tree); print(model.estimate()) for the REML estimate",
    "correlations": f"{_RESULT}hr.correlations(tree)",
    "shrinkage": f"{_RESULT}hr.shrinkage(tree)",
    "contrasts": "hr.contrasts(x, what), where x is model.sample(seed=1) or model.estimate()",
    "plot_priors": f"print(model.priors); {_RESULT}hr.plots.variances(tree) shows the posterior over them",
    "plot": f"{_RESULT}the functions of hr.plots",
    "build": "a model needs no building: model.sample(seed=1)",
    "reml": "write model.estimate('reml')",
    "ml": "write model.estimate('ml')",
    "save": f"{_RESULT}hr.save(tree, 'fit.nc')",
    **dict.fromkeys(("params", "coef", "coef_", "fixef", "fe_params"), "model.estimate() has .beta and .beta_se"),
    **dict.fromkeys(("ranef", "random_effects"), "model.estimate() has .b and .theta, dictionaries by grouping factor"),
    **dict.fromkeys(("VarCorr", "cov_re", "vcomp"), "model.estimate() has .sd, .corr and .cov by grouping factor"),
}

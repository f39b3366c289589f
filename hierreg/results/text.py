"""What kinds of parameters are called where they are shown."""

TITLES = {
    "beta": "Population coefficients",
    "sd": "Standard deviations between groups",
    "scale": "Scale of the t distribution of group effects",
    "nu": "Degrees of freedom of group effects",
    "component": "Components of group effects, means as deviations from the population",
    "corr": "Correlations of group coefficients",
    "error_sd": "Standard deviations of errors",
    "error_corr": "Correlations of errors",
    "auxiliary": "Further parameters of the family",
}

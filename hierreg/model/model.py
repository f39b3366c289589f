"""`Model`: a formula, a table, an error structure and priors, and everything that can be asked of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from hierreg.checks import check_choice
from hierreg.display import Column, Row, Section, Table
from hierreg.display.html import as_html
from hierreg.display.text import cut_lines, line_width
from hierreg.exceptions import ModelError
from hierreg.hints import SEED, missing, understands
from hierreg.model.foreign import ESTIMATE, METHODS, MODEL, SAMPLE
from hierreg.model.given_covariances import error_covariance, group_factor, precision_of_beta
from hierreg.model.kinds import kind_of
from hierreg.predictive.of_model import gaussian
from hierreg.problem.effects import refuse
from hierreg.problem.given import Given
from hierreg.results import point
from hierreg.results.point import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from hierreg.effects import Mixture, StudentT
    from hierreg.errors.base import ErrorSpec
    from hierreg.gram import Gram
    from hierreg.model.describe import Description
    from hierreg.priors import Priors, ResolvedPriors
    from hierreg.problem.problem import Problem
    from hierreg.response import Family
    from hierreg.results.effects import EffectsEstimate
    from hierreg.results.point import Coefficients

    Method = Literal["reml", "ml", "map", "laplace", "quadrature"]

# Factors, and columns that were dropped, that a model names where it is shown.
_MOST_NAMED = 8


class Model:
    """A hierarchical regression.

    ``y = X beta + Z b + e`` with ``b_j ~ N(0, Sigma)`` for each group j and ``e ~ N(0, R)``, so that
    ``theta_j = beta + b_j ~ N(beta, Sigma)`` where the columns of X and Z match. Several grouping factors each have
    their own Z b and Sigma.

    Parameters
    ----------
    formula : str
        As in lme4: ``"y ~ x + (x | g)"``, ``(x || g)`` for uncorrelated group coefficients,
        ``(1 | g) + (0 + x | g)`` for separate terms; ``(1 | s) + (x | d)`` for crossed and ``(1 | a/b)`` for nested
        factors; without bars a plain (or seemingly unrelated) regression.
    data : table
        Anything narwhals reads: pandas, polars, pyarrow.
    errors : error structure, optional
        `hr.independent` (default), `hr.by`, `hr.correlated`, `hr.exchangeable`, `hr.ar1`, `hr.known_se` or
        `hr.known_cov`.
    priors : Priors, optional
        Whatever is left out has a default scaled to the data; see `Model.priors`.
    collinear : {"refuse", "drop"}
        What to do with columns that those before them determine (an empty cell of ``a * c``, say): "refuse" them, or
        "drop" them, with a warning that names them, as lme4 does. `predict` then refuses rows in which they would not
        be what the other columns make of them: nothing was observed of those.
    weights : str, optional
        Column of weights w > 0, as in lme4: the error variance of a row is error_sd^2 / w, in each stratum of `hr.by`
        its own. A row that is the mean of w observations has the weight w. ``error_sd`` is that of rows of weight one.
        With a `family` a row of weight w counts as w rows.
    family : family of responses, optional
        `hr.Bernoulli`, `hr.Binomial`, `hr.Poisson`, `hr.NegativeBinomial`, `hr.Gamma`, `hr.Beta`, `hr.LogNormal`,
        `hr.StudentT` or `hr.Cumulative`: the response is not normal, and ``link(mean) = X beta + Z b``. With one
        grouping factor its coefficients, up to three in a group, are integrated out by adaptive Gauss-Hermite
        quadrature; with several factors, or more coefficients, they are sampled too, and so they are with
        `hr.StudentT`.
    offset : str, optional
        With a family, a column that is added to the linear predictor, such as the logarithm of an exposure.
    trials : str, optional
        With `hr.Binomial`, the column of the numbers of trials, where the formula does not name it.

    Raises
    ------
    FormulaError, DataError, PriorError, ModelError
        If an argument is malformed or does not fit the others.

    See Also
    --------
    Priors : What is known before.
    Gram : A model of rows that are elsewhere: `Model.from_gram`.
    load_dataset : Tables to try.
    summary : What is printed of a fit.

    Examples
    --------
    >>> import hierreg as hr
    >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
    >>> est = model.estimate("reml")
    >>> round(est.criterion, 4)
    1743.6283
    """

    @classmethod
    def from_tree(cls, tree: xr.DataTree) -> Model:
        """Return the model that a result was sampled from, made again of what the result carries.

        A result has the arguments of its model and the columns that it read (group ``constant_data``), where these take
        less than 64 MiB; of a model of statistics alone it has the statistics, up to the same size.

        Parameters
        ----------
        tree : DataTree
            From `Model.sample`, `hr.load` or `hr.prior_predictive`.

        Raises
        ------
        DataError
            If the result carries no model.

        See Also
        --------
        load : Reads a result.
        Model.from_gram : A model of statistics.

        Examples
        --------
        >>> import hierreg as hr
        >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
        >>> tree = model.sample(draws=100, seed=1, method="psis")
        >>> hr.Model.from_tree(tree).formula
        'Reaction ~ Days + (Days | Subject)'
        """
        from hierreg.results.carried import problem_and_table

        model = cls.__new__(cls)
        model._problem, model._data = problem_and_table(tree)  # noqa: SLF001  # another way to make the same object
        return model

    @classmethod
    def from_gram(cls, gram: Gram, priors: Priors | None = None) -> Model:
        """Return a model of statistics alone, whose rows are elsewhere, too many, or gone.

        Everything that needs no rows works as with them: `estimate`, `solve`, `sample`, the reports, and `hr.predict`
        for other rows. What needs them (replicated responses, the log likelihood by row, the explicit
        parametrizations) says so.

        Parameters
        ----------
        gram : Gram
            From `Gram.from_batches`, `Gram.scan`, `Gram.load`, `Model.gram`, or a sum of those.
        priors : Priors, optional
            The defaults are those of a model with the rows.

        Raises
        ------
        ModelError, PriorError
            If `gram` does not say which formula it comes from, or priors do not fit.

        See Also
        --------
        Gram.from_batches : Statistics of batches; also `Gram.scan` of files and `Gram.from_dask`.
        Model.from_tree : A model from a result.

        Examples
        --------
        >>> import hierreg as hr
        >>> table = hr.load_dataset("sleepstudy")
        >>> gram = hr.Gram.from_batches([table[:90], table[90:]], "Reaction ~ Days + (Days | Subject)")
        >>> round(hr.Model.from_gram(gram).estimate("reml").criterion, 4)
        1743.6283
        """
        from hierreg.problem.from_gram import problem_of_gram

        model = cls.__new__(cls)
        model._problem = problem_of_gram(gram, priors)  # noqa: SLF001  # another way to make the same object
        model._data = None  # noqa: SLF001
        return model

    @understands("hr.Model", instead=MODEL)
    def __init__(  # noqa: PLR0913  # the public signature: every argument has a default
        self,
        formula: str,
        data: Any,
        errors: ErrorSpec | None = None,
        priors: Priors | None = None,
        *,
        collinear: Literal["refuse", "drop"] = "refuse",
        weights: str | None = None,
        family: Family | StudentT | None = None,
        offset: str | None = None,
        trials: str | None = None,
        effects: Mapping[str, StudentT | Mixture] | None = None,
    ) -> None:
        given = Given(
            formula=formula,
            errors=errors,
            priors=priors,
            collinear=collinear,
            weights=weights,
            family=family,
            offset=offset,
            trials=trials,
            effects=effects,
        )
        self._problem: Any = given.problem(data)
        self._data = data

    if not TYPE_CHECKING:  # type checkers are to see what there is

        def __getattr__(self, name: str) -> Any:
            """Say what to write instead of a method that other packages have."""
            raise missing("Model", name, METHODS)

    @property
    def formula(self) -> str:
        """The formula."""
        return str(self._problem.formula)

    @property
    def data(self) -> Any:
        """The table that the model was made from, not a copy; None of statistics alone, and in another process."""
        return self._data

    def __getstate__(self) -> dict[str, Any]:
        # What travels to other processes: the arrays of the rows are in the problem already.
        return {"_problem": self._problem, "_data": None}

    @property
    def problem(self) -> Problem:
        """What the model is made of (rows, errors, priors, ...), for functions that take a model."""
        return self._problem  # type: ignore[no-any-return]  # or what stands for it where the response is not normal

    @property
    def priors(self) -> ResolvedPriors:
        """The priors in use, defaults included; print it."""
        return self._problem.priors  # type: ignore[no-any-return]

    @property
    def gram(self) -> Gram:
        """The cross-products of the data; those of two tables of one formula and error structure can be added."""
        refuse(self._problem, "gram")
        return gaussian(self._problem, "Model.gram").complete_gram()

    def _facts(self) -> list[tuple[str, str]]:
        """Return what is shown of the model: names of facts, and facts in words."""
        problem = self._problem
        factors, dropped = problem.labels.factors, problem.dropped_columns
        facts = [("rows", f"{problem.n_rows:,}")]
        facts += [(f"groups of {factor.name}", f"{len(factor.levels):,}") for factor in factors[:_MOST_NAMED]]
        if len(factors) > _MOST_NAMED:
            facts.append(("groups", f"of {len(factors) - _MOST_NAMED} more factors"))
        facts += [("dropped", text) for text in dropped[:_MOST_NAMED]]
        if len(dropped) > _MOST_NAMED:
            facts.append(("dropped", f"{len(dropped) - _MOST_NAMED} more columns"))
        lines = (line.strip().partition(": ") for line in kind_of(problem).shown(problem))
        return facts + [(name, fact) for name, _, fact in lines]

    def __repr__(self) -> str:
        lines = [f"hierreg.Model: {self.formula}"]
        for name, fact in self._facts():
            counts = name == "rows" or name.startswith("groups")
            lines.append(f"  {fact} {name}" if counts else f"  {name}: {fact}")
        return "\n".join(cut_lines(line, line_width(), most=4) for line in lines)

    def _repr_html_(self) -> str:
        rows = [Row(name=name, values={"fact": fact}) for name, fact in self._facts()]
        return as_html(
            Table(
                columns=(Column(key="fact", head="", form="text"),),
                sections=(Section(title="", rows=rows),),
                heading=f"hierreg.Model: {self.formula}",
                notes=("model.estimate(), model.sample(seed=1); model.priors, model.describe().",),
            )
        )

    def describe(self, *, time: bool = False) -> Description:
        """Return how the model is evaluated, and what that costs; print it.

        Parameters
        ----------
        time : bool
            Measure on the spot, in a fifth of a second, how long one value with its gradient takes on one thread. The
            first model of its kind on a machine compiles for that.

        Returns
        -------
        Description
            Engine, blocks that are evaluated (groups with equal designs count once), coefficients of a block, what is
            integrated out and what sampled, memory.

        See Also
        --------
        Model.priors : The priors.
        Model.to_pymc : The model as a graph.

        Examples
        --------
        >>> import hierreg as hr
        >>> hr.Model("diameter ~ 1 + (1 | plate) + (1 | sample)", hr.load_dataset("penicillin")).describe()
        diameter ~ 1 + (1 | plate) + (1 | sample)
          144 rows; errors: independent(), 1 error term
          integrated out: 31 coefficients
          sampled: 3 variance parameters
            sd_plate[Intercept], sd_sample[Intercept], error_sd
          engine: crossed (several factors)
            groups of  evaluated as       groups  blocks  coefficients  at once
            plate      level by level         24      24             1        1
            sample     in the dense tail       6       1             6        1
          dense tail: 8 columns, with those of the population and the response
          memory: statistics ... KiB, engine ... KiB
        """
        return kind_of(self._problem).describe(self._problem, time)  # type: ignore[no-any-return]  # of its kind

    @understands("Model.estimate", instead=ESTIMATE)
    def estimate(self, method: Method | None = None, *, nodes: int | None = None) -> Estimate | EffectsEstimate:
        """Return point estimates of the variances, and the coefficients at them.

        Parameters
        ----------
        method : {"reml", "ml", "map"}, or {"laplace", "quadrature"} with a family
            Restricted maximum likelihood (beta integrated under a flat prior; the default), maximum likelihood, or the
            mode of the posterior density of standard deviations and correlations under the model's priors. REML and
            ML ignore the priors, except that `Fixed` values are kept. With a family, maximum likelihood with the
            coefficients of groups integrated out by Laplace's approximation (the default) or by quadrature (that of
            `hr.StudentT` with one grouping factor, of which Laplace's approximation makes the scale too large).
            With `effects` "ml" (the default) and "map" maximise over beta too, and there is no REML.
        nodes : int, optional
            Of "quadrature", on each axis; by default 9, or 15 or 25 where the search does not end with fewer.

        Returns
        -------
        Estimate
            Labelled arrays; `message` says how the search ended. With `effects` an
            `hierreg.results.effects.EffectsEstimate`.

        Raises
        ------
        DataError
            If the response does not vary, or the columns (those of groups included) fit it exactly, so that an unknown
            error variance would be zero.

        Warns
        -----
        IdentificationWarning
            Where no data of this design tell variance parameters apart (`Estimate.unidentified`).

        See Also
        --------
        Model.sample : The posterior, with the uncertainty of the variances.
        Model.solve : At covariances that are known.
        summary : Estimates with intervals.
        compare_fits : Tests of one model against another.

        References
        ----------
        Patterson and Thompson (1971), Biometrika 58; Laird and Ware (1982), Biometrics 38, sections 3 and 4.

        Examples
        --------
        >>> import hierreg as hr
        >>> model = hr.Model("Reaction ~ Days + (Days | Subject)", hr.load_dataset("sleepstudy"))
        >>> est = model.estimate()
        >>> est.sd["Subject"].to_series().round(3).to_dict()
        {'Intercept': 24.74, 'Days': 5.922}
        """
        kind = kind_of(self._problem)
        chosen = kind.default(self._problem) if method is None else str(method)
        if chosen in kind.elsewhere:
            raise ModelError(f"method={chosen!r} {kind.elsewhere[chosen]}.")
        check_choice(chosen, kind.methods, argument="method", error=ModelError)
        found = kind.estimate(self._problem, chosen, nodes)
        if isinstance(found, Estimate):
            return replace(found, problem=self._problem)
        return replace(found, formula=self.formula, n_rows=int(self._problem.n_rows))

    def solve(
        self,
        cov: Mapping[str, Any] | None = None,
        error_cov: Any = None,
        beta_precision: float | Sequence[float] = 0.0,
    ) -> Coefficients:
        """Return the solution of the mixed-model equations at known covariances.

        Parameters
        ----------
        cov : dict of array_like (q, q)
            Covariance of the group coefficients, by grouping factor; positive semidefinite. Here and below, tables with
            labels (pandas, xarray, `Estimate.cov`) are matched by label, anything else by position.
        error_cov : array_like
            Error covariance: a variance for one data set; (D,) variances or (D, D) for strata or data sets, in
            the order of the levels; ``{"sd": sd, "corr": rho}`` for exchangeable errors, each a number or one per
            stratum, and for AR(1) errors; the squared factor for known errors with a scale; nothing for known errors.
        beta_precision : float or sequence of float (p,)
            Prior precision kappa of beta ~ N(0, 1 / kappa). Zero gives BLUE and BLUP.

        Returns
        -------
        Coefficients
            BLUE and BLUP with the covariance of beta and prediction-error covariances; with a positive
            precision the Gaussian posterior instead, which converges to them as it goes to zero.

        See Also
        --------
        Model.estimate : Estimates the covariances too.
        contrasts : Functions of the solution.
        Fixed : Covariances that are known, in the other methods.

        References
        ----------
        Henderson (1975), Biometrics 31, section 5; Robinson (1991), Statistical Science 6, section 5.

        Examples
        --------
        >>> import hierreg as hr
        >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
        >>> found = model.solve(cov={"Batch": [[1764.0]]}, error_cov=2451.25)
        >>> found.b["Batch"].to_numpy().ravel().round(1)
        array([-17.6,   0.4,  28.6, -23.1,  56.7, -45. ])
        """
        from hierreg.likelihood.crossed.blas_threads import blas_threads_for
        from hierreg.likelihood.engines import solve_equations
        from hierreg.likelihood.first_use import announce_compilation

        refuse(self._problem, "solve")
        problem = gaussian(self._problem, "Model.solve")
        Lambda = group_factor(problem, cov)
        S = error_covariance(problem, error_cov)
        announce_compilation(problem.blocks)
        likelihood = problem.likelihood_with_precision(precision_of_beta(problem, beta_precision))
        with blas_threads_for(problem.gram):
            solution = solve_equations(likelihood, Lambda, S)
        return replace(point.coefficients(problem.labels, problem.with_fixed(solution)), problem=problem)

    @understands("Model.sample", same=SEED, instead=SAMPLE)
    def sample(  # noqa: PLR0913, PLR0917  # the public signature: every argument has a default
        self,
        draws: int = 1000,
        tune: int | None = None,
        chains: int = 4,
        seed: int | None = None,
        cores: int | None = None,
        parametrization: Literal["marginal", "noncentered", "centered"] = "marginal",
        sampler: Literal["nutpie", "pymc"] = "nutpie",
        progress: bool = True,
        *,
        method: Literal["nuts", "psis"] | None = None,
        target_accept: float | None = None,
        group_effects: Literal["auto", "draws", "summary", "none"] = "auto",
        include: Sequence[str] = (),
    ) -> xr.DataTree:
        """Return draws from the posterior of all parameters.

        With ``parametrization="marginal"`` NUTS runs over the variance parameters alone, all coefficients
        integrated out, and one exact draw of beta and every b is made per draw; nothing is compiled per model.

        With ``method="psis"`` the variance parameters are drawn by importance sampling instead: from mixtures of t
        distributions, the first one at the mode, with Pareto-smoothed weights, adapted until the weights are even. No
        gradients, no warm-up, and the draws are independent. Proposals are made until resampling to chains x draws
        needs nearly no copies, so that the draws have equal weights and reports and ArviZ take them as they are; what
        they are worth is in ``sample_stats.attrs``: ``pareto_k`` (below 0.7, or an error is raised; below 0.5 is
        good), ``importance_ess`` of the weighted proposals and ``resampled_ess``, the number of independent draws that
        these are worth. R-hat, which compares chains, says nothing here: k does. It suits up to about ten variance
        parameters; beyond, efficiency falls and NUTS is better.

        Parameters
        ----------
        draws : int
            Draws kept per chain. With "psis" a chain is a part of the independent draws.
        tune : int, optional
            Warm-up draws per chain. By default 100 where the posterior is nearly normal, 150 elsewhere, 200 where
            standard deviations may be zero or the coefficients of groups are sampled too, with a family, and 300 with
            `target_accept`; 1000 for other parametrizations than the marginal one.
        chains : int
        seed : int, optional
            Determines every draw, whatever `cores`; a random one is chosen and recorded where none is given.
            ``random_seed=`` is the same.
        cores : int, optional
            Chains run at once, or threads that evaluate proposals; all available by default.
        parametrization : {"marginal", "noncentered", "centered"}
            The last two sample every coefficient, through `to_pymc`; for comparison.
        sampler : {"nutpie", "pymc"}
        progress : bool
            Show a progress bar; "psis" has none.
        method : {"nuts", "psis"}, optional
            No-U-turn sampler, or Pareto-smoothed importance sampling; the latter takes none of `tune`,
            `target_accept`, `parametrization` and `sampler`. By default NUTS, except for crossed factors of which a
            gradient takes more than about ten milliseconds (about 700 levels that cross another factor): there
            importance sampling, which needs no gradients, and a line says so. Of such models importance sampling
            interpolates the density about its mode, where all group coefficients are intercepts or lone slopes and
            draws are more than the evaluations that this takes, or levels more than 3,000. It states the largest error
            at points that had no part in it: ``interpolation_error`` in ``sample_stats.attrs``; above 0.05 it does not
            interpolate.
        target_accept : float, optional
            Acceptance probability that the step size is tuned to, between 0 and 1; by default 0.8, 0.9 where standard
            deviations may be zero, and 0.98 where correlated errors have few units. Where all effects are sampled
            (several factors, of a response that is not normal) 0.6 and 0.8, or 0.9 if a factor has two or three
            levels. Nearer to 1 means smaller steps: the remedy for divergences, at the price of more gradients. Where
            none is given and the posterior of the variance parameters is nearly normal, as with many groups, a draw is
            one step of a Hamiltonian that is exact for a normal posterior: one gradient.
        group_effects : {"auto", "draws", "summary", "none"}
            Keep every draw of the group coefficients, or means, standard deviations and quantiles only (group
            ``effects`` of the tree), or neither: `group_effects` finds the summaries later. With one grouping factor
            summaries follow from the normal distributions at some of the draws; what that leaves of Monte-Carlo error,
            at most 0.015 posterior standard deviations where draws suffice, is their attribute
            ``monte_carlo_error``. "auto" keeps draws up to 1 GiB and says so when it does not.
        include : sequence of str
            Extra groups: "prior", "prior_predictive", "posterior_predictive", "log_likelihood" (by row, given the rows
            whose errors are correlated with its own), "log_likelihood_units" (by unit), "log_prior"; see
            `hierreg.log_likelihood`. With "mu" the posterior has the expected response of each row, ``mu`` (chain,
            draw, obs), as `arviz_stats.bayesian_r2` asks for.

        Returns
        -------
        DataTree
            Groups ``posterior`` (``beta``, ``b_<factor>``, ``theta_<factor>``, standard deviations and correlations),
            ``sample_stats``, ``observed_data``, ``constant_data`` (the columns that the model reads), ``model`` (what
            the model is made of, see `Model.from_tree`), ``statistics`` (cross-products of each group),
            ``mixed_model_limit`` (the REML plug-in solution), where only summaries are kept ``effects``, and those of
            `include`. Correlations are those of unique pairs, ``corr_<factor>``; `hierreg.correlation_matrices` has the
            matrices. ArviZ's functions work on it unchanged.

        Raises
        ------
        SamplingError
            Where importance sampling cannot represent the posterior.
        PriorError
            Where correlated errors have so few units that the density has no bound under the prior of correlations; the
            message names the prior that mends it.

        Warns
        -----
        ConvergenceWarning
            Of divergences, R-hat, small effective sample sizes and low energy, naming the parameter; with "psis",
            of many copies among the draws.
        BoundaryWarning
            Where the REML estimate has a variance of zero or a singular correlation.
        IdentificationWarning
            Where no data of this design tell variance parameters apart: their posterior is their prior's. The tree's
            attribute ``unidentified`` names them.

        See Also
        --------
        Model.estimate : Point estimates.
        map_chains : Chains on several machines.
        summary : The parameters; also `correlations` and `shrinkage`.
        save : Keeps the result.

        References
        ----------
        Hoffman and Gelman (2014), Journal of Machine Learning Research 15, 1593-1623; Vehtari, Simpson, Gelman, Yao and
        Gabry (2024), Pareto smoothed importance sampling, Journal of Machine Learning Research 25(72); Cornuet, Marin,
        Mira and Robert (2012), Scandinavian Journal of Statistics 39, 798-812.

        Examples
        --------
        >>> import hierreg as hr
        >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
        >>> tree = model.sample(seed=1, progress=False)
        >>> dict(tree["posterior"]["theta_Batch"].sizes)
        {'chain': 4, 'draw': 1000, 'Batch': 6, 'Batch_coef': 1}
        """
        from hierreg.model.default_method import sample_by_default
        from hierreg.sampling.request import SampleRequest

        request = SampleRequest(
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed,
            cores=cores,
            parametrization=parametrization,
            sampler=sampler,
            progress=progress,
            target_accept=target_accept,
            group_effects=group_effects,
            include=(include,) if isinstance(include, str) else tuple(include),
            method="nuts" if method is None else method,
        )
        if method is None:
            return sample_by_default(self._problem, request)
        return kind_of(self._problem).sample(self._problem, request)

    def to_pymc(self, parametrization: Literal["marginal", "noncentered", "centered"] = "marginal") -> Any:
        """Return the same model as a `pymc.Model`.

        Parameters
        ----------
        parametrization : {"marginal", "noncentered", "centered"}
            "marginal" has the variance parameters only, with the marginal likelihood as one PyTensor operation;
            the others have beta and b too.

        See Also
        --------
        Model.sample : The same density, without PyMC.
        Model.describe : How hierreg evaluates it.

        Examples
        --------
        >>> import hierreg as hr
        >>> model = hr.Model("Yield ~ 1 + (1 | Batch)", hr.load_dataset("dyestuff"))
        >>> [variable.name for variable in model.to_pymc().free_RVs]
        ['sd_Batch', 'error_sd']
        """
        return kind_of(self._problem).to_pymc(self._problem, parametrization)

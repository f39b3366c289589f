"""The problem that follows from formula, data, errors and priors; and what is wrong with it.

The way of a model: ``Model(...)`` -> `given.Given`, the arguments as they are -> `problem.assemble` ->
`formula.parse_formula` -> `design_matrices.build_design`, arrays of the table, where columns that others determine
are found (`design_matrices.collinear`) -> the errors' ``bind`` -> `gram.collect`, cross-products -> `priors.measure`
and `priors.resolve`, the priors -> ``of_parts``, which lays groups out for an engine (`likelihood.groups.blocks`,
whose table is on the page of `likelihood`). Of statistics alone it begins in `from_gram`; of a response that is not
normal it is that of `family`, of other group effects that of `effects`. Then ``Model.estimate`` and ``Model.sample``
call what `model.kinds` has for its class.
"""

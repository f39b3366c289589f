"""Formulas: what they mean, what is refused, and that nothing in them is ever executed."""

import ast
import contextlib
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierreg.exceptions import FormulaError
from hierreg.formula import compile_expression, parse_formula

# formula, population, bar terms as (expression, factor, correlated)
MEANINGS = [
    ("y ~ x", "1 + x", []),
    ("y~1", "1", []),
    ("y ~ 0 + x", "0 + x", []),
    ("y ~ x - 1", "0 + x", []),
    ("y ~ -1 + x", "0 + x", []),
    ("y ~ x + -1", "0 + x", []),
    ("y ~ x + (x | g)", "1 + x", [("1 + x", "g", True)]),
    ("y ~ (x || g)", "1", [("1 + x", "g", False)]),
    ("y ~ (1|g)+(0+x|g)", "1", [("1", "g", True), ("0 + x", "g", True)]),
    ("y ~ (x - 1 | g) + x", "1 + x", [("0 + x", "g", True)]),
    ("y ~ 0 + (1 | g)", "0", [("1", "g", True)]),
    ("y ~ a * b - a:b", "1 + a * b - a:b", []),
    ("y ~ (a + b)^2 + a/b", "1 + (a + b) ^ 2 + a / b", []),
    ("y ~ log (x) + poly( x,2 )", "1 + log(x) + poly(x, 2)", []),
    ("y ~ `my col`:x + (`my col` | `the group`)", "1 + `my col`:x", [("1 + `my col`", "the group", True)]),
    ("y ~ (1 | a:b)", "1", [("1", "a:b", True)]),
    ("y ~ (1 | a/b)", "1", [("1", "a", True), ("1", "a:b", True)]),
    ("y ~ (1 | a) + (1 | b)", "1", [("1", "a", True), ("1", "b", True)]),
    ("y ~ Sepal.Length + C(f, contr.sum) + I(x**2)", "1 + Sepal.Length + C(f, contr.sum) + I(x ** 2)", []),
    ("y ~ x +\n (x |\n g)", "1 + x", [("1 + x", "g", True)]),
]


@pytest.mark.parametrize(("text", "population", "bars"), MEANINGS)
def test_meaning(text, population, bars):
    spec = parse_formula(text)
    assert spec.text == text
    assert spec.response == "y"
    assert spec.population == population
    assert [(term.expression, term.factor, term.correlated) for term in spec.group_terms] == bars


def test_canonical_text_is_a_fixed_point():
    for text, *_ in MEANINGS:
        spec = parse_formula(text)
        bars = (
            f"({term.expression} {'|' if term.correlated else '||'} "
            + ":".join(f"`{name}`" for name in term.columns)
            + ")"
            for term in spec.group_terms
        )
        again = parse_formula(" + ".join([f"{spec.response} ~ {spec.population}", *bars]))
        assert (again.response, again.population, again.group_terms) == (
            spec.response,
            spec.population,
            spec.group_terms,
        )


def test_the_response_may_be_transformed():
    assert parse_formula("log(y) ~ x").response == "log(y)"
    assert parse_formula("`reaction time` ~ x").response == "`reaction time`"
    assert parse_formula("I(a/b) ~ x").response == "I(a / b)"


def test_group_columns_are_kept_apart_from_the_factor_name():
    (term,) = parse_formula("y ~ (1 | `a:b`:c)").group_terms
    assert term.factor == "a:b:c"
    assert term.columns == ("a:b", "c")


# formula, words that must be in the message
MALFORMED = [
    ("y + x", ["no `~`"]),
    ("", ["no `~`"]),
    ("~ x", ["response", "empty"]),
    ("y ~ ", ["term is missing"]),
    ("y ~ x ~ z", ["more than one `~`"]),
    ("y + z ~ x", ["response", "one column", "y + z"]),
    ("2 * y ~ x", ["response", "I(...)"]),
    ("poly(y, 2) ~ x", ["response", "poly(y, 2)"]),
    ("C(y) ~ x", ["response", "one column of numbers"]),
    ("y ~ x | g", ["parentheses", "(x | g)"]),
    ("y ~ 1 + x | g + z", ["parentheses"]),
    ("y ~ (x | g) | h", ["parentheses"]),
    ("y ~ (x | )", ["group", "empty"]),
    ("y ~ ( | g)", ["nothing stands left of the bar"]),
    ("y ~ (x | g | h)", ["nested"]),
    ("y ~ ((x | g))", ["nested"]),
    ("y ~ (x + (1 | g) | h)", ["nested"]),
    ("y ~ x:(1 | g)", ["joined", "+"]),
    ("y ~ (1 | g) * x", ["joined", "+"]),
    ("y ~ x - (1 | g)", ["subtracted"]),
    ("y ~ (0 | g)", ["no columns"]),
    ("y ~ (1 | log(g))", ["expression", "add a column"]),
    ("y ~ (1 | 1)", ["expression"]),
    ("y ~ (1 | a + b)", ["several groups"]),
    ("y ~ (1 | a * b)", ["several groups"]),
    ("y ~ (1 | a:a)", ["twice"]),
    ("y ~ x +", ["term is missing after `+`"]),
    ("y ~ x * + z", ["term is missing between `*` and `+`"]),
    ("y ~ x x", ["operator is missing between `x` and `x`"]),
    ("y ~ 2x", ["number 2"]),
    ("y ~ x (z)", ["operator is missing"]),
    ("y ~ (x", ["not closed"]),
    ("y ~ x)", ["missing"]),
    ("y ~ log(x", ["not closed", "log(x"]),
    ("y ~ log(x]", ["partner"]),
    ("y ~ `x", ["backtick"]),
    ("y ~ ``", ["backticks"]),
    ("y ~ .", ["all other columns"]),
    ("y ~ [x ~ z]", ["several stages"]),
    ("y ~ {x + 1}", ["I(...)"]),
    ("y ~ a %in% b", ["%in%"]),
    ("y ~ 'x'", ["backticks"]),
    ("y ~ x, z", ["join terms with +"]),
    ("y ~ x; z", ["unexpected character ';'"]),
    ("y ~ x @ z", ["unexpected character '@'"]),
    ("y ~ 2 * x", ["number 2", "I(2 * x)"]),
    ("y ~ x:1", ["number 1"]),
    ("y ~ (0 + x)", ["number 0", "outside of brackets"]),
    ("y ~ 1 + (x)", ["`(x)`", "no bar", "(x | group)"]),
    ("y ~ x + (x * z + w)", ["`(x * z + w)`", "(x * z + w | group)", "x * z + w without brackets"]),
    ("y ~ x - ((x))", ["no bar"]),
    ("y ~ x**2", ["I(x ** 2)"]),
    ("y ~ (x + z)^a", ["positive whole number"]),
    ("y ~ y + x", ["'y'", "response"]),
    ("log(y) ~ x + (y | g)", ["'y'", "response"]),
    ("y ~ (1 | y)", ["'y'", "response"]),
]


@pytest.mark.parametrize(("text", "words"), MALFORMED)
def test_malformed_formulas(text, words):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    for word in [*words, repr(text.strip())]:
        assert word in str(caught.value)


def test_a_formula_is_text():
    with pytest.raises(FormulaError, match=r"must be text such as .* not dict"):
        parse_formula({"y": "x"})


# expression, words that must be in the message
REFUSED = [
    ("x.__class__", ["__class__"]),
    ("`__class__`", ["__class__"]),
    ("log(x.values)", ["attribute access", "x.values"]),
    ("log(x).sum()", ["attribute access `.sum`"]),
    ("log(x[0])", ["subscript", "x[0]"]),
    ("log((lambda: x)())", ["call", "lambda"]),
    ("log(lambda: x)", ["lambda"]),
    ("log([z for z in x])", ["comprehension"]),
    ("log({z for z in x})", ["comprehension"]),
    ("log({z: z for z in x})", ["comprehension"]),
    ("log(z for z in x)", ["comprehension"]),
    ("log(x if x else x)", ["conditional"]),
    ("log(x > 0)", ["comparison"]),
    ("log(x and x)", ["logical"]),
    ("log(f'{x}')", ["formatted text"]),
    ("log(x := x)", ["the expression `(x := x)`"]),
    ("log(__import__)", ["__import__"]),
    ("__import__('os')", ["function '__import__'"]),
    ("__import__('os').system('true')(x)", ["attribute access `.system`"]),
    ("log(__import__('os').system('true'))", ["call"]),
    ("eval(x)", ["function 'eval'"]),
    ("np.log(x)", ["call", "np.log"]),
    ("lag(x)", ["function 'lag'", "log"]),
    ("hashed(x)", ["function 'hashed'"]),
    ("Q('x')", ["function 'Q'"]),
    ("logg(x)", ["function 'logg'", "Did you mean 'log'?"]),
    ("log(x, 2)", ["takes no more"]),
    ("log(x, out=x)", ["takes no more"]),
    ("log(*x)", ["first argument"]),
    ("log(**x)", ["first argument"]),
    ("log()", ["first argument"]),
    ("poly(x, *[1])", ["argument other than"]),
    ("poly(x, **{'degree': 2})", ["takes degree, raw"]),
    ("poly(x, z)", ["argument other than"]),
    ("poly(x, degree=eval('2'))", ["argument other than"]),
    ("poly(x, 2, True, 3)", ["takes degree, raw"]),
    ("bs(x, knots=x)", ["argument other than"]),
    ("center(poly(x, 2))", ["several columns"]),
    ("I(C(x))", ["several columns"]),
    ("C(x + 1)", ["one column name"]),
    ("C(x, levels=['a'])", ["one column name"]),
    ("C(x, contr.sum, contr.sum)", ["one column name"]),
    ("C(x, contr)", ["kind of contrasts"]),
    ("C(x, contr.mro)", ["kind of contrasts"]),
    ("C(x, contr.custom([[1]]))", ["kind of contrasts"]),
    ("C(x, contr.sum.__init__)", ["kind of contrasts"]),
    ("C(x, {'a': [1]})", ["kind of contrasts"]),
    ("C(x, Treatment(base='a'))", ["takes reference"]),
    ("log(2)", ["constant"]),
    ("I(9**9**9)", ["power without a column"]),
    ("I((9 + 9)**(9 + 9) * x)", ["power without a column"]),
    ("I(x % 2)", ["operator"]),
    ("I(x // 2)", ["operator"]),
    ("I(x @ x)", ["operator"]),
    ("I(~x)", ["the expression"]),
    ("I(1j * x)", ["literal"]),
    ("I(True * x)", ["literal"]),
    ("I('a' + x)", ["literal"]),
    ("log(0x)", ["not a valid expression"]),
    ("log(x y)", ["not a valid expression"]),
    ("log(" * 500 + "x" + ")" * 500, ["not a valid expression"]),
    ("log(" + "-" * 5000 + "x)", ["not a valid expression"]),
]


@pytest.mark.parametrize(("expression", "words"), REFUSED, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("place", ["y ~ {}", "y ~ 1 + x:{} + (1 | g)", "y ~ (0 + {} | g)", "{} ~ x1"])
def test_refused_expressions(expression, words, place):
    with pytest.raises(FormulaError) as caught:
        parse_formula(place.format(expression))
    if "{} ~" not in place:
        for word in words:
            assert word in str(caught.value)


def test_refusals_say_what_is_allowed():
    with pytest.raises(FormulaError, match=r"log2.*standardize.*contr\.sum"):
        parse_formula("y ~ cosh(x)")


def test_nothing_is_executed(tmp_path):
    target = tmp_path / "touched"
    code = f"__import__('pathlib').Path('{target}').touch()"
    attacks = [
        code,
        f"log({code})",
        f"log(x)({code})",
        f"C(x, levels=['])+{code}(y)+log(x'])",
        f"C(x, Treatment('])+({code})(y)+log(x'))",
        f"C(x, Treatment(')]) + {code} + log(x'))",
        f"log(`x`)+`a`{code}`b`",
        f"{{{code}}}",
        f"x[{code}]",
        f"`x` + log(f'{{{code}}}')",
    ]
    for attack in attacks:
        try:
            spec = parse_formula(f"y ~ {attack}")
            compile_expression(spec.population)
        except FormulaError:
            pass
        assert not target.exists(), attack


# the pieces are separated by `@`, which is none of them
PIECES = "x@`a b`@log(@C(@poly(@)@ + @-@*@:@~@|@||@1@0@,@ @'a'@[@]@=@y@g@**@2@lambda@x.y@__a__@contr.sum"
PIECES += "@'@`@{@}@.@é@\n@\""


@given(st.lists(st.sampled_from(PIECES.split("@")), max_size=14).map("".join))
def test_any_text_is_a_formula_or_a_formula_error(text):
    try:
        spec = parse_formula("y ~ " + text)
    except FormulaError:
        return
    for part in (spec.population, *(term.expression for term in spec.group_terms)):
        expression = compile_expression(part)
        assert expression.text == part
        assert_harmless(expression.code)


def assert_harmless(code):
    """Nothing but aliases, listed functions, numbers and operators may reach formulaic."""
    names = set(re.findall(r"[^\W\d][\w.]*", re.sub(r"HIERREG_[A-Z]+_\d+_", "", code)))
    assert names <= {"log", "C", "poly", "contr.sum"}
    assert not set(code) & set("'\"`{}~|")


def test_what_formulaic_gets_has_no_text_of_the_user():
    expression = compile_expression('1 + `a\'b`:log(`c "d"`) + C(f, Treatment("x\') + eval(\'y")) + é')
    assert expression.code == (
        "1 + HIERREG_PLAIN_0_:log(HIERREG_NUMBER_1_) + C(HIERREG_LEVEL_2_, Treatment(HIERREG_TEXT_0_)) "
        "+ HIERREG_PLAIN_3_"
    )
    assert expression.column_names == ("a'b", 'c "d"', "f", "é")
    assert dict(expression.texts) == {"HIERREG_TEXT_0_": "x') + eval('y"}
    ast.parse(expression.code.replace(":", "+"))


def test_labels_come_back_in_the_users_names():
    expression = compile_expression("1 + `a b`:log(`a b`) + C(f, Treatment('u'))")
    plain, number, level = (column.alias for column in expression.columns)
    assert expression.label(f"{plain}:log({number})") == "a b:log(`a b`)"
    text = expression.texts[0][0]
    assert expression.label(f"C({level}, Treatment({text}))[T.v]") == "C(f, Treatment('u'))[T.v]"
    assert expression.label("Intercept") == "Intercept"


def test_columns_that_look_like_aliases_are_columns():
    expression = compile_expression("HIERREG_PLAIN_1_ + x + log(hidden_name_0_of_formula)")
    assert expression.column_names == ("HIERREG_PLAIN_1_", "x", "hidden_name_0_of_formula")


def test_names_are_not_normalised():
    # Python reads a micro sign in code as a Greek mu; a table does not
    micro, mu = "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"
    assert micro != mu
    assert compile_expression(f"1 + {micro} + log({micro}) + log({mu})").column_names == (micro, mu)


NOISY = [
    r"C(c, Treatment('a\d'))",
    "I(x + 1or 2)",
    "I(1.5if x else 2)",
    "I(0x1for x)",
    r"log('\8' + x)",
    "log(x, '''3or''')",
]


@pytest.mark.parametrize("call", NOISY)
def test_python_never_warns_of_a_formula(call):
    """Its warnings could only be silenced for all threads of the process at once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(FormulaError):
            parse_formula(f"y ~ {call}")
    assert caught == []


def test_text_in_a_formula_stands_for_itself():
    expression = compile_expression(r"C(c, Treatment('a\d\n'))")
    assert [text for _, text in expression.texts] == [r"a\d\n"]


def test_formulas_in_threads_leave_the_filters_of_warnings_alone():
    """Two threads that change and restore them in another order would leave those of one behind."""
    formula = "y ~ log(x) + I(x**2) + sqrt(x) + (log(x) | g)"
    before = warnings.filters[:]
    with mock.patch.object(warnings.catch_warnings, "__enter__") as changed, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: parse_formula(formula), range(20)))
    assert warnings.filters == before
    assert not changed.called

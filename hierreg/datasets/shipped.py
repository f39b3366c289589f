"""The record of every shipped table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hierreg.datasets.record import Column, Dataset

_DAVIES = (
    "Davies OL, Goldsmith PL (eds) (1972). Statistical Methods in Research and Production, 4th ed. Oliver "
    "and Boyd, section {}."
)
_FROM_R = (
    "Distributed in the R package {} under the GPL (version 2 or later); the figures are those published in "
    "the work cited."
)
_DOLLARS = "million US dollars of 1947"

_CBPP = Dataset(
    name="cbpp",
    title="new cases of contagious bovine pleuropneumonia by herd and period",
    rows=56,
    columns=(
        Column(name="herd", kind="category", about="herd, 1 to 15"),
        Column(name="incidence", kind="integer", about="animals that became seropositive in the period"),
        Column(name="size", kind="integer", about="animals of the herd at the beginning of the period"),
        Column(name="period", kind="category", about="period of about four months, 1 to 4"),
    ),
    source="R package lme4 1.1-31, cbpp",
    citation=(
        "Lesnoff M, Laval G, Bonnet P, Abdicho S, Workalemahu A, Kifle D, Peyraud A, Lancelot R, Thiaucourt F (2004). "
        "Within-herd spread of contagious bovine pleuropneumonia in Ethiopian highlands. Preventive Veterinary "
        "Medicine 64, 27-40."
    ),
    licence=_FROM_R.format("lme4"),
    notes="Fifteen herds in four periods; four of the sixty combinations were not observed.",
    file="cbpp.csv",
)

_CONTRACEPTION = Dataset(
    name="contraception",
    title="use of contraception by women in Bangladesh, in the rural and urban areas of 60 districts",
    rows=1934,
    columns=(
        Column(name="district", kind="category", about="district, 1 to 61 without 54"),
        Column(name="use", kind="category", about="whether contraception is used: N or Y", levels=("N", "Y")),
        Column(name="livch", kind="category", about="living children: 0, 1, 2 or 3+", levels=("0", "1", "2", "3+")),
        Column(name="age", kind="float", about="age less the mean age", unit="years"),
        Column(name="urban", kind="category", about="whether the area is urban: N or Y", levels=("N", "Y")),
    ),
    source="R package mlmRev 1.0-8, Contraception, without the number of the woman, which is that of the row",
    citation=(
        "Huq NM, Cleland J (1990). Bangladesh Fertility Survey 1989 (Main Report). National Institute of Population "
        "Research and Training, Dhaka; Steele F, Diamond I, Amin S (1996). Immunization uptake in rural Bangladesh: a "
        "multilevel analysis. Journal of the Royal Statistical Society A 159, 289-299, which mlmRev cites."
    ),
    licence=(
        "Distributed in the R package mlmRev under the GPL (version 2 or later), and with MLwiN as bang1; a part of "
        "the survey's figures."
    ),
    notes=(
        "2 to 118 women a district; 42 districts have rural and urban areas, 15 rural ones alone, 3 urban ones alone. "
        "Ages are whole years, 16 to 49, less 29.56; as distributed nearly half are up to 0.001 off."
    ),
    file="contraception.csv.gz",
)

_DYESTUFF = Dataset(
    name="dyestuff",
    title="yield of dyestuff by batch of the intermediate product",
    rows=30,
    columns=(
        Column(name="Batch", kind="category", about="batch of the intermediate product, A to F"),
        Column(name="Yield", kind="float", about="yield of dyestuff", unit="grams of standard colour"),
    ),
    source="R package lme4 1.1-31, Dyestuff",
    citation=_DAVIES.format("6.4"),
    licence=_FROM_R.format("lme4"),
    notes="Balanced one-way layout: six batches, five preparations from each.",
    file="dyestuff.csv",
)

_DYESTUFF2 = Dataset(
    name="dyestuff2",
    title="constructed yields in the layout of dyestuff, with batch variance estimated as zero",
    rows=30,
    columns=(
        Column(name="Batch", kind="category", about="batch, A to F"),
        Column(name="Yield", kind="float", about="constructed yield"),
    ),
    source="R package lme4 1.1-31, Dyestuff2",
    citation=("Box GEP, Tiao GC (1973). Bayesian Inference in Statistical Analysis. Addison-Wesley, section 5.1.2."),
    licence=_FROM_R.format("lme4"),
    notes=(
        "Not measured: made so that the mean square between batches is below the one within batches. Both "
        "REML and ML then put the batch variance on the boundary, at exactly zero."
    ),
    file="dyestuff2.csv",
)

_EIGHT_SCHOOLS = Dataset(
    name="eight_schools",
    title="estimated effect of coaching on SAT-V scores in eight schools",
    rows=8,
    columns=(
        Column(name="school", kind="category", about="school, A to H"),
        Column(name="effect", kind="float", about="estimated effect of the coaching", unit="SAT-V points"),
        Column(
            name="se",
            kind="float",
            about="standard error of that estimate, taken as known",
            unit="SAT-V points",
        ),
    ),
    source="table 5.2 of Gelman et al. (2013), which rounds table 1 of Rubin (1981) to whole points",
    citation=(
        "Rubin DB (1981). Estimation in parallel randomized experiments. Journal of Educational Statistics "
        "6, 377-401; Gelman A, Carlin JB, Stern HS, Dunson DB, Vehtari A, Rubin DB (2013). Bayesian Data "
        "Analysis, 3rd ed. Chapman and Hall/CRC, section 5.5."
    ),
    licence="Sixteen published figures; no restriction known.",
    notes="One row a school: the errors have known standard errors.",
    file="eight_schools.csv",
)

_GROUSETICKS = Dataset(
    name="grouseticks",
    title="ticks on the heads of red grouse chicks, by brood and location",
    rows=403,
    columns=(
        Column(name="INDEX", kind="category", about="chick, one row each: the level of observations"),
        Column(name="TICKS", kind="integer", about="number of ticks on the head of the chick"),
        Column(name="BROOD", kind="category", about="brood"),
        Column(name="HEIGHT", kind="integer", about="height above sea level", unit="metres"),
        Column(name="YEAR", kind="category", about="year, 95 to 97 for 1995 to 1997"),
        Column(
            name="LOCATION",
            kind="category",
            about="geographic location, 1 to 63",
            levels=tuple(str(location) for location in range(1, 64)),
        ),
    ),
    source="R package lme4 1.1-31, grouseticks, without the derived column cHEIGHT",
    citation=(
        "Elston DA, Moss R, Boulinier T, Arrowsmith C, Lambin X (2001). Analysis of aggregation, a worked example: "
        "numbers of ticks on red grouse chicks. Parasitology 122, 563-569."
    ),
    licence=_FROM_R.format("lme4"),
    notes=(
        "Nested: 403 chicks of 118 broods at 63 locations. Counts vary far more than Poisson ones with brood and "
        "location do, which is what an effect of each chick is for."
    ),
    file="grouseticks.csv",
)

_GRUNFELD = Dataset(
    name="grunfeld",
    title="yearly investment of five US firms, 1935 to 1954, in the version printed by Greene (2003)",
    rows=100,
    columns=(
        Column(name="invest", kind="float", about="gross investment", unit=_DOLLARS),
        Column(name="value", kind="float", about="market value of the firm", unit=_DOLLARS),
        Column(name="capital", kind="float", about="stock of plant and equipment", unit=_DOLLARS),
        Column(name="firm", kind="category", about="firm, in Greene's order"),
        Column(name="year", kind="integer", about="calendar year, which pairs the rows of the firms", unit="year"),
    ),
    source="R package systemfit 1.1-28, GrunfeldGreene",
    citation=(
        "Grunfeld Y (1958). The Determinants of Corporate Investment. PhD thesis, University of Chicago; "
        "Greene WH (2003). Econometric Analysis, 5th ed. Prentice Hall, table F13.1; Kleiber C, Zeileis A "
        "(2010). The Grunfeld data at 50. German Economic Review 11, 404-417."
    ),
    licence=_FROM_R.format("systemfit"),
    notes=(
        "Kept as Greene printed it, so that his published answers can be checked. It differs from "
        "Grunfeld's thesis, as AER::Grunfeld in R gives it, in three figures of US Steel: invest is 261.6 "
        "in 1940 (thesis: 361.6) and 645.2 in 1952 (645.5), capital is 232.6 in 1946 (132.6). General "
        "Electric and Westinghouse do not differ."
    ),
    file="grunfeld.csv",
)

_MATH_ACHIEVE = Dataset(
    name="math_achieve",
    title="mathematics achievement of students in 160 US high schools",
    rows=7185,
    columns=(
        Column(name="MathAch", kind="float", about="mathematics achievement", unit="test score"),
        Column(
            name="SES",
            kind="float",
            about="socio-economic status of the student, a composite scale centred near zero",
        ),
        Column(name="Minority", kind="category", about="member of a minority, No or Yes"),
        Column(name="Sex", kind="category", about="Male or Female", levels=("Male", "Female")),
        Column(name="School", kind="category", about="school, a four-digit label"),
        Column(name="MEANSES", kind="float", about="mean SES of the school, on the scale of SES"),
        Column(
            name="Sector",
            kind="category",
            about="sector of the school, Catholic or Public",
            levels=("Catholic", "Public"),
        ),
    ),
    source="R package nlme 3.1-162, MathAchieve joined with MathAchSchool (MEANSES, Sector) by School",
    citation=(
        "Raudenbush SW, Bryk AS (2002). Hierarchical Linear Models, 2nd ed. Sage. Data: US Department of "
        "Education, High School and Beyond survey, 1982."
    ),
    licence=_FROM_R.format("nlme"),
    notes=(
        "MEANSES and Sector are constant within a school. MEANSES, as distributed, is the mean of the "
        "students' SES plus 0.006, to three decimals. Schools are in the order of their labels, and "
        "Catholic is the first sector (nlme has other orders)."
    ),
    file="math_achieve.csv.gz",
)

_BOYS = (16, 5, 2, 11, 7, 8, 3, 12, 13, 14, 9, 15, 6, 4, 1, 10)
_GIRLS = (10, 9, 6, 1, 5, 7, 2, 8, 3, 4, 11)
_ORTHODONT_SUBJECTS = (*(f"M{child:02}" for child in _BOYS), *(f"F{child:02}" for child in _GIRLS))

_ORTHODONT = Dataset(
    name="orthodont",
    title="growth of a distance in the skull of 27 children, measured at four ages",
    rows=108,
    columns=(
        Column(
            name="distance",
            kind="float",
            about="distance from the pituitary to the pterygomaxillary fissure, on X-ray images",
            unit="mm",
        ),
        Column(name="age", kind="integer", about="age: 8, 10, 12 or 14", unit="years"),
        Column(
            name="Subject",
            kind="category",
            about="child, by mean distance within sex",
            levels=_ORTHODONT_SUBJECTS,
        ),
        Column(name="Sex", kind="category", about="Male or Female", levels=("Male", "Female")),
        Column(name="age11", kind="integer", about="age - 11: age minus its mean, added here", unit="years"),
    ),
    source="R package nlme 3.1-162, Orthodont",
    citation=(
        "Potthoff RF, Roy SN (1964). A generalized multivariate analysis of variance model useful "
        "especially for growth curve problems. Biometrika 51, 313-326; Pinheiro JC, Bates DM (2000). "
        "Mixed-Effects Models in S and S-PLUS. Springer, appendix A.17."
    ),
    licence=_FROM_R.format("nlme"),
    notes=(
        "Balanced: 16 boys and 11 girls, each measured every second year from 8 to 14. The boys vary more within child."
    ),
    file="orthodont.csv",
)

_PASTES = Dataset(
    name="pastes",
    title="strength of a chemical paste by cask within delivery batch",
    rows=60,
    columns=(
        Column(name="strength", kind="float", about="paste strength; the source names no unit"),
        Column(name="batch", kind="category", about="delivery batch, A to J"),
        Column(
            name="cask",
            kind="category",
            about="cask within the batch, a to c: the labels repeat in every batch",
        ),
        Column(name="sample", kind="category", about="batch and cask together, A:a to J:c: the 30 casks"),
    ),
    source="R package lme4 1.1-31, Pastes",
    citation=_DAVIES.format("6.5"),
    licence=_FROM_R.format("lme4"),
    notes="Nested and balanced: ten batches, three casks from each, two assays of each cask.",
    file="pastes.csv",
)

_PENICILLIN = Dataset(
    name="penicillin",
    title="zone of inhibition of six penicillin samples on 24 plates",
    rows=144,
    columns=(
        Column(name="diameter", kind="float", about="diameter of the zone of inhibition of growth", unit="mm"),
        Column(name="plate", kind="category", about="assay plate, a to x"),
        Column(name="sample", kind="category", about="penicillin sample, A to F"),
    ),
    source="R package lme4 1.1-31, Penicillin",
    citation=_DAVIES.format("6.6"),
    licence=_FROM_R.format("lme4"),
    notes="Fully crossed: every sample once on every plate.",
    file="penicillin.csv",
)

_SLEEPSTUDY = Dataset(
    name="sleepstudy",
    title="reaction time by day of restricted sleep, 18 subjects",
    rows=180,
    columns=(
        Column(name="Reaction", kind="float", about="mean reaction time of the day's tests", unit="ms"),
        Column(name="Days", kind="integer", about="day of the study, 0 to 9", unit="days"),
        Column(name="Subject", kind="category", about="subject, a three-digit label"),
    ),
    source="R package lme4 1.1-31, sleepstudy",
    citation=(
        "Belenky G, Wesensten NJ, Thorne DR, Thomas ML, Sing HC, Redmond DP, Russo MB, Balkin TJ (2003). "
        "Patterns of performance degradation and restoration during sleep restriction and subsequent "
        "recovery: a sleep dose-response study. Journal of Sleep Research 12, 1-12."
    ),
    licence=_FROM_R.format("lme4"),
    notes=(
        "Balanced: ten days of each subject in the group with three hours in bed a night. According to the "
        "source, days 0 and 1 were adaptation and training and day 2 the baseline, so the restriction acts "
        "from day 3 on; the common textbook model nevertheless uses all ten days."
    ),
    file="sleepstudy.csv",
)

_VERBAGG = Dataset(
    name="verbagg",
    title="316 persons answer 24 items on verbal aggression",
    rows=7584,
    columns=(
        Column(
            name="Anger", kind="integer", about="trait anger of the person, on the State-Trait Anger Expression scale"
        ),
        Column(name="Gender", kind="category", about="gender of the person, F or M", levels=("F", "M")),
        Column(name="item", kind="category", about="item: situation, mode and behaviour, such as S1WantCurse"),
        Column(name="resp", kind="category", about="answer: no, perhaps or yes, in this order"),
        Column(name="id", kind="category", about="person, 1 to 316"),
        Column(name="btype", kind="category", about="behaviour: curse, scold or shout"),
        Column(name="situ", kind="category", about="situation: somebody else is to blame (other), or oneself (self)"),
        Column(name="mode", kind="category", about="whether one would want to, or actually do: want or do"),
        Column(name="r2", kind="category", about="answer in two categories: N for no, Y for perhaps and yes"),
    ),
    source="R package lme4 1.1-31, VerbAgg",
    citation="De Boeck P, Wilson M (eds) (2004). Explanatory Item Response Models. Springer.",
    licence=_FROM_R.format("lme4"),
    notes=(
        "Fully crossed: every person answers every item once. Anger and Gender belong to persons; btype, situ and mode "
        "to items, 3 x 4 x 2 of them from four situations. One label of an item, S4wantCurse, is written as in the "
        "source, with a small w."
    ),
    file="verbagg.csv.gz",
)

_ALL = (
    _CBPP,
    _CONTRACEPTION,
    _DYESTUFF,
    _DYESTUFF2,
    _EIGHT_SCHOOLS,
    _GROUSETICKS,
    _GRUNFELD,
    _MATH_ACHIEVE,
    _ORTHODONT,
    _PASTES,
    _PENICILLIN,
    _SLEEPSTUDY,
    _VERBAGG,
)

SHIPPED: Final[Mapping[str, Dataset]] = MappingProxyType({dataset.name: dataset for dataset in _ALL})

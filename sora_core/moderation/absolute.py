"""The rules that no policy can switch off, weaken, replace or excuse: sexual content with minors.

They have words and a search of their own, so that nothing that a policy adds can change how their words are met.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .lexicon import Lexicon, WordSet
from .rule import Rule, patterns_of, rule_from

PREFIX = "absolute."


def _listed(words: str) -> list[str]:
    return words.split("/")


_SETS: dict[str, dict[str, list[str]]] = {
    "minor": {
        "words": _listed(
            "child/kid/kiddo/kiddie/minor/underage/under age/underaged/preteen/pre teen/preteenager/teen/"
            "teenager/teenage/tween/toddler/infant/newborn/baby/schoolgirl/schoolboy/school girl/school boy/"
            "schoolchild/schoolkid/school kid/lolita/loli/lolis/shota/jailbait/little girl/little boy/"
            "little sister/little brother/young girl/young boy/small girl/small boy/tiny girl/tiny boy/"
            "underage girl/child like/childlike/prepubescent/pre pubescent/prepubertal/pubescent/adolescent/"
            "juvenile/kindergarten/kindergartener/kindergartner/preschooler/first grader/second grader/"
            "third grader/fourth grader/fifth grader/sixth grader/seventh grader/eighth grader/ninth grader/"
            "middle schooler/high schooler/grade schooler/elementary school/primary school/middle school/"
            "barely legal/under 18/under eighteen/younger than 18/not yet 18/not 18/girl scout/boy scout/"
            "#0-17 year old/#0-17 years old/#0-17 yo/#0-17 y o/#0-17 yr old/#0-17 yrs old/#0-17 yearold/"
            "#0-17 yold/#0-17 yearsold/aged #0-17/age #1-17/age of #1-17/girl #5-17/boy #5-17/looks #4-17/"
            "look #4-17/is #5-17/#1-17 month old/#1-17 months old/girl of #5-17/boy of #5-17/turned #5-17/"
            "nina pequena/menor de edad/petite fille/mineure/kinder/minderjahrig"
        ),
        "but": [
            "{self} chord",
            "{self} key",
            "{self} scale",
            "{self} detail",
            "{self} injury",
            "{self} role",
            "in a {self}",
            "{self} oil",
            "{self} blue",
            "{self} doll",
            "{self} shower",
            "inner {self}",
            "goat {self}",
            "is #5-17 {measure}",
            "look #4-17 {measure}",
        ],
    },
    "measure": {
        "words": _listed("minute/second/hour/day/week/month/time/meter/metre/km/percent/degree/feet/foot/inch/of the"),
    },
    "explicit": {
        "words": _listed(
            "sex/sexual/sexually/sexuality/sexualize/sexualise/sexualized/sexualised/sexy/erotic/erotica/"
            "eroticism/porn/porn*/pron/nude/nudes/nudity/nudist/naked/topless/bottomless/undress/unclothed/"
            "striptease/stripper/strip naked/strips naked/lingerie/thong/seduce/seductive/seductively/genital/"
            "genitalia/penis/vagina/vulva/clitoris/dick pic/cock/pussy/tits/titties/boobs/nipples/masturbate/"
            "masturbation/orgasm/orgy/intercourse/blowjob/blow job/handjob/hand job/anal/hentai/rape/molest/"
            "molestation/fondle/grope/fetish/bdsm/bondage/bare breasts/bare breast/bare butt/without clothes/"
            "without clothing/no clothes/no clothing/no underwear/clothes off/clothes removed/remove clothes/"
            "removes her clothes/removes his clothes/lewd/nsfw/xxx/cum/cumshot/rule 34/ecchi/horny/aroused/fuck/"
            "seggs/gangbang/threesome/incest/grooming for sex/upskirt/hardcore sex/softcore/fellatio/cunnilingus/"
            "ejaculate/ejaculation/explicit content/wet panties/panties/desnudo/desnuda/nackt/nue/sexe"
        ),
        "but": [
            "{self} mole >1 rat",
            "{self} eye",
            "{self} ape",
            "{self} cake",
            "{self} truth",
            "{self} gun",
            "{self} tree",
            "{self} branch",
            "{self} flame",
            "{self} bike",
            "{self} wire",
            "{self} skin tone",
            "{self} lipstick",
            "{self} heels",
            "{self} nail",
            "{self} palette",
            "{self} shade",
            "{self} color",
            "{self} colour",
            "{self} tone",
            "{self} sports >1 car",
            "{self} car",
            "{self} jeep",
            "{self} of >3 {self_kind}",
            "{self} reveal",
            "{self} ed",
            "{self} education",
            "{self} and the city",
            "same {self}",
            "opposite {self}",
            "{self} chromosome",
            "{self} abuse >3 {aid}",
            "{aid} >6 {self} abuse",
            "{self} predator",
            "{self} offender",
            "{aid} >4 {self}",
            "{self} field",
            "{self} seed",
            "{self} oil",
            "{self} a doll",
            "{self} willow",
            "{self} cat",
            "{self} riot",
            "{self} a doodle",
            "weather {self}",
            "{self} laude",
            "{self} fu",
        ],
    },
    "self_kind": {"words": _listed("baby/child/twin/kitten/puppy/calf/animal/plant/chick/tree/fish")},
    "aid": {
        "words": _listed(
            "prevention/prevent/awareness/survivor/hotline/helpline/charity/psa/protect from/protection/"
            "stop child/warning parents/warn parents/educational campaign/safeguarding/against"
        ),
    },
    "suggestive": {
        "words": _listed(
            "sensual/changing clothes/hidden cam/flat chest/locker room shower/showering together/underwear/"
            "sensually/provocative/provocatively/twerk/make out/making out/made out/french kiss/"
            "tongue kiss/kissing scene/kiss scene/love scene/bed scene/romantic scene with adult/underwear/"
            "pole dance/pole dancing/lap dance/spread legs/spreading legs/legs spread/bedroom eyes/strip/strips/"
            "stripping/skimpy/see through/micro bikini/wet t shirt/wet shirt/moan/moaning/suggestive/"
            "suggestively/lustful/lust/aroused/on her knees/bend over/bent over/kissing an adult/"
            "touches her body/touches his body/private parts/crotch/fishnets/garter/takes off her shirt/"
            "takes off her clothes/takes off his clothes/take off her clothes/take off his clothes/"
            "take off their clothes/taking off her clothes/seduction"
        ),
        "but": [
            "{self} pattern",
            "superhero {self}",
            "comic {self}",
            "film {self}",
            "{self} of",
            "{self} light",
            "led {self}",
            "{self} mall",
        ],
    },
}

_RULES: list[dict[str, Any]] = [
    {
        "id": "absolute.minors_sexual",
        "stage": ["prompt", "audio", "cameo"],
        "category": "sexual_minors",
        "action": "block",
        "severity": 5,
        "message": "Sexual content with minors is never made; no setting changes that.",
        "match": ["{minor} & {explicit}"],
        "always": [
            "child porn*",
            "pedo cartoon",
            "pedo anime",
            "kiddie porn*",
            "lolicon",
            "shotacon",
            "loli hentai",
            "jailbait",
            "pedo video",
            "pedo content",
            "naked child",
            "nude child",
            "naked kid",
            "nude kid",
            "child sex",
            "csam",
            "sex with {minor}",
        ],
        "must_match": [
            "a nude child",
            "schoolgirl p0rn",
            "a 14yo girl. Later she is n a k e d",
            "\u0441hild s\u0435x",
            "sexy fifteen year old dances",
            "a naked mole rat, then a naked child",
            "awareness campaign: a naked kid",
        ],
        "must_not": [
            "a naked mole rat at the children's zoo",
            "a scale in c minor, naked flame on a candle",
            "a PSA on the prevention of child sexual abuse",
            "a gender reveal party: the sex of the baby is a surprise",
            "an 18 year old graduates",
            "a makeup tutorial with nude lipstick for teens",
        ],
    },
    {
        "id": "absolute.minors_suggestive",
        "stage": ["prompt", "audio", "cameo"],
        "category": "sexual_minors",
        "action": "block",
        "severity": 5,
        "message": "Minors are never shown in a suggestive way; no setting changes that.",
        "match": ["{minor} ~8 {suggestive}"],
        "must_match": [
            "a schoolgirl doing a sensual dance",
            "a 12 year old takes off her clothes",
            "make the teen twerk",
        ],
        "must_not": ["a kid reads a comic strip", "a strip of paper for each child", "a boy bends a stick"],
    },
]


@lru_cache(maxsize=1)
def absolute_sets() -> dict[str, WordSet]:
    """Return the sets of the absolute rules; policies may name them, and not change them."""
    return {
        name: WordSet(
            name=name,
            words=patterns_of(table, "words", f"the set {{{name}}}", joined=False),
            but=patterns_of(table, "but", f"the set {{{name}}}", joined=False),
        )
        for name, table in _SETS.items()
    }


@lru_cache(maxsize=1)
def absolute_rules() -> tuple[Rule, ...]:
    """Return the absolute rules."""
    return tuple(rule_from(table, "built-in rule") for table in _RULES)


@lru_cache(maxsize=1)
def absolute_lexicon() -> Lexicon:
    """Return the search for the absolute rules."""
    return Lexicon(absolute_sets(), [pattern for rule in absolute_rules() for pattern in rule.patterns()])


def absolute_source() -> list[object]:
    """Return what the absolute rules are made of, to be hashed."""
    return [_SETS, _RULES]

"""Policies: what is read, what is refused and with which sentence, and what no policy can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from sora_core.errors import SoraError
from sora_core.moderation import Moderator, load_policy, policy_names
from sora_core.moderation.lexicon import Lexicon, WordSet
from sora_core.moderation.pattern import parse

HEAD = 'version = 1\nname = "mine"\ntitle = "mine"\n'
RULE = """
[[rule]]
id = "{id}"
stage = "prompt"
category = "trees"
action = "block"
message = "No trees."
match = ["{match}"]
must_match = ["{yes}"]
must_not = ["a cat"]
"""


def rule(name="own.tree", match="tree", yes="a tree", more=""):
    return RULE.format(id=name, match=match, yes=yes) + more


def write(folder: Path, body: str, name: str = "mine.toml") -> Path:
    (folder / name).write_text(HEAD + body, encoding="utf-8")
    return folder / name


def met(pattern: str, text: str, **sets: list[str]) -> bool:
    parsed = parse(pattern)
    word_sets = {name: WordSet(name=name, words=tuple(map(parse, words))) for name, words in sets.items()}
    scan = Lexicon(word_sets, [parsed]).scan(text)
    return any(True for _ in scan.chain(scan.met([parsed])[0].chains[0])) if scan.met([parsed]) else False


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("tree", "three trees", "a street"),
        ("=cutting", "a cutting", "he cuts"),
        ("porn*", "pornographic", "po"),
        ("#1-17 year old", "a 12 year old", "an 18 year old"),
        ("#1-17 year old", "a twelve-year-old", "a twenty year old"),
        ("kill the lights", "kill the lights", "kill all the lights"),
        ("cat >2 dog", "a cat and a dog", "a dog and a cat"),
        ("cat >2 dog", "cat a b dog", "cat a b c dog"),
        ("cat ~2 dog", "a dog and a cat", "a dog and then a big cat"),
        ("{pet} >1 {food}", "the hamster eats corn", "corn for a hamster"),
        ("{pet} ~3 {food} ~3 bowl", "a bowl of corn for a hamster", "a bowl"),
        ("self-harm", "self harm", "harm self"),
        ("make", "he made it", "a maker"),
        ("story", "two stories", "a storey"),
        ("stab", "he is stabbing", "stable"),
    ],
)
def test_the_pattern_language(pattern, yes, no):
    sets = {"pet": ["hamster", "guinea pig"], "food": ["corn"]}
    assert met(pattern, yes, **sets)
    assert not met(pattern, no, **sets)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "~2 tree",
        "tree ~2",
        "a ~99 b",
        "a >x b",
        "{open",
        "{a b}",
        "po*",
        "(a|b)+",
        "a.*b",
        "&",
        "a & & b",
        "#x",
        "x " * 200,
    ],
)
def test_wrong_patterns_are_refused(pattern):
    with pytest.raises(SoraError):
        Lexicon({}, [parse(pattern)])


@pytest.mark.slow
def test_the_policies_of_the_package_load():
    assert policy_names() == ("default", "strict")
    default, strict = load_policy(), load_policy("strict")
    assert strict.chain == ("strict", "default")
    assert [one.id for one in strict.rules] == [one.id for one in default.rules]
    assert strict.sha256 != default.sha256 == load_policy().sha256
    assert len(default.sha256) == 64
    stages = {stage for one in default.rules for stage in one.stages}
    assert stages == {"prompt", "audio", "cameo", "frames", "input_media"}


def test_the_hash_changes_with_every_rule(tmp_path):
    first = load_policy(write(tmp_path, rule())).sha256
    assert load_policy(write(tmp_path, rule())).sha256 == first
    assert load_policy(write(tmp_path, rule(match="trees", yes="trees"))).sha256 != first


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (rule(yes="a bush"), "does not match 'a bush'"),
        (rule(match="cat", yes="cat"), "matches 'a cat'"),
        (rule().replace('must_not = ["a cat"]', ""), "no tests"),
        (rule().replace('"block"', '"explode"'), "action"),
        (rule().replace('"prompt"', '"lunch"'), "stage"),
        (rule().replace('"prompt"', '"frames"'), "looks for words"),
        (rule(more="severity = 9\n"), "severity"),
        (rule(more='regex = "(a+)+"\n'), "'regex'"),
        (rule(more='scope = "planet"\n'), "scope"),
        (rule(more='excuses = ["x.y"]\n'), "only the action allow"),
        (rule(match="{nothing}"), "not there"),
        (rule(match="a ~50 b"), "distance"),
        (rule(name="bad id!"), "letters, digits"),
        (rule() + rule(), "two rules"),
        ('[sets.a]\nwords = ["{b}"]\n[sets.b]\nwords = ["{a}"]\n', "circle"),
        ("[sets.a]\nwords = 5\n", "list of texts"),
        ("[limits]\nlongest_prompt = 0\n", "longest_prompt"),
        ('[requires]\nframes = ["text"]\n', "never asked"),
        ('[requires]\nframes = ["magic"]\n', "needs a list"),
        ("surprise = 1\n", "'surprise'"),
        ('disable = ["own.tree"]\n', "does not inherit"),
        ('[add.a]\nwords = ["x"]\n', "does not inherit"),
        ('extends = "nowhere.toml"\n', "cannot be read"),
        ('extends = "../other.toml"\n', "plain name"),
        ('extends = "/etc/passwd"\n', "plain name"),
        ('extends = "..\\\\other.toml"\n', "plain name"),
        ('extends = "C:other.toml"\n', "plain name"),
        ('extends = ".hidden.toml"\n', "plain name"),
        ('extends = "mine.toml"\n', "circle"),
        ("x = [", "not TOML"),
    ],
)
def test_wrong_policies_are_refused(tmp_path, body, says):
    with pytest.raises(SoraError, match=says):
        load_policy(write(tmp_path, body))


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    write(tmp_path, "", "outer.toml")
    (inner / "link.toml").symlink_to(tmp_path / "outer.toml")
    with pytest.raises(SoraError, match="leads out"):
        load_policy(write(inner, 'extends = "link.toml"\n'))


def test_versions_size_and_missing_files(tmp_path):
    (tmp_path / "old.toml").write_text('version = 2\nname = "x"\ntitle = "x"\n')
    with pytest.raises(SoraError, match="version"):
        load_policy(tmp_path / "old.toml")
    with pytest.raises(SoraError, match="larger"):
        load_policy(write(tmp_path, "# " + "x" * (1 << 20)))
    for name in ("no such policy", "a\0b", "../default"):
        with pytest.raises(SoraError):
            load_policy(name)


@pytest.mark.parametrize(
    "body",
    [
        'disable = ["absolute.minors_sexual"]\n',
        rule(name="absolute.minors_sexual"),
        '[sets.minor]\nwords = ["nobody"]\n',
        '[add.minor]\nbut = ["{self}"]\n',
        '[sets.explicit]\nwords = ["nothing"]\n',
        rule(more='excuses = ["absolute.minors_sexual"]\n').replace('"block"', '"allow"'),
    ],
)
def test_no_policy_touches_the_absolute_rules(tmp_path, body):
    with pytest.raises(SoraError):
        load_policy(write(tmp_path, 'extends = "default"\n' + body if not body.startswith("[[") else body))


def test_words_of_a_policy_do_not_change_how_absolute_rules_read(tmp_path):
    """A policy that knows "s3x" and "chi" as words of its own does not hide them."""
    path = write(
        tmp_path,
        '[sets.noise]\nwords = ["s3x", "chi", "ld", "nud", "p0rn", "sexchild"]\n' + rule(match="{noise}", yes="s3x"),
    )
    judged = Moderator(load_policy(path))
    for text in ("s3x with a child", "chi ld s3x", "ch.ild p0rn"):
        assert "absolute.minors_sexual" in judged.text(text).rules, text


def test_a_policy_extends_another(tmp_path):
    write(tmp_path, '[sets.wood]\nwords = ["oak"]\n' + rule(match="{wood}", yes="an oak"), "base.toml")
    child = write(
        tmp_path,
        'extends = "base.toml"\nnames = ["Ada Example"]\n[add.wood]\nwords = ["elm"]\nbut = ["{self} street"]\n',
        "child.toml",
    )
    policy = load_policy(child)
    assert policy.chain == ("mine", "mine")
    judged = Moderator(policy)
    assert judged.text("an elm").action == "block"
    assert judged.text("an oak").action == "block"
    assert judged.text("elm street").action == "allow"
    assert judged.text("elm street, an elm").action == "block"
    off = load_policy(write(tmp_path, 'extends = "base.toml"\ndisable = ["own.tree"]\n', "off.toml"))
    assert Moderator(off).text("an oak").action == "allow"


def test_a_rule_may_excuse_others(tmp_path):
    allow = """
[[rule]]
id = "own.party"
stage = "prompt"
category = "trees"
action = "allow"
message = "A name of a place."
match = ["tree house"]
excuses = ["own.tree"]
must_match = ["the tree house"]
must_not = ["a house"]
"""
    judged = Moderator(load_policy(write(tmp_path, rule() + allow)))
    assert judged.text("at the tree house").rules == ("own.party",)
    assert judged.text("at the tree house").action == "allow"
    assert judged.text("a tree at the tree house").action == "block"


def test_allow_unless_always_and_scopes(tmp_path):
    more = """always = ["oak king"]
allow = ["tree house"]
unless = ["documentary"]
"""
    judged = Moderator(load_policy(write(tmp_path, rule(more=more))))
    assert judged.text("a tree").action == "block"
    assert judged.text("a tree house").action == "allow"
    assert judged.text("a tree. A documentary.").action == "allow"
    assert judged.text("oak king, a documentary").action == "block"
    near = Moderator(
        load_policy(write(tmp_path, rule(match="tree & fire", yes="a tree on fire", more='scope = "sentence"\n')))
    )
    assert near.text("a tree near a fire").action == "block"
    assert near.text("a tree. A fire.").action == "allow"
    far = Moderator(load_policy(write(tmp_path, rule(match="tree & fire", yes="a tree on fire"))))
    assert far.text("a tree. A fire.").action == "block"


def test_actions_and_severity_order_a_decision(tmp_path):
    body = rule(name="own.b", more="severity = 1\n").replace('"block"', '"label"')
    body += rule(name="own.r", more="severity = 2\n").replace('"block"', '"review"')
    judged = Moderator(load_policy(write(tmp_path, body)))
    decision = judged.text("a tree")
    assert (decision.action, decision.rules, decision.labels) == ("review", ("own.r", "own.b"), ("trees",))
    assert decision.stopped
    assert "Held for review: No trees." in decision.messages[0]

//! Operators, loops and conversions.

use policy::{Scope, Value};

use crate::stage::{Stage, come_to, fail};

#[test]
fn operators_do_what_cel_says() {
    come_to(
        &Stage::default(),
        Scope::Request,
        &[
            ("1 + 2 * 3 - 8 / 3 - 7 % 4", "2"),
            ("2u * 3u", "6u"),
            ("1.5 + 1", "2.5"),
            ("-9223372036854775808", "-9223372036854775807 - 1"),
            ("'a' + 'b'", "'ab'"),
            ("[1] + [2]", "[1, 2]"),
            ("b'a' + b'b'", "b'ab'"),
            ("1 == 1.0 && 1u == 1", "true"),
            ("9007199254740993 == 9007199254740992.0", "false"),
            ("'1' == 1", "false"),
            ("[1, [2]] == [1.0, [2u]]", "true"),
            ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", "true"),
            ("1 < 1.5 && 2u > 1 && 'a' < 'b' && false < true", "true"),
            ("1 in [1, 2] && !(3 in [1, 2]) && 'a' in {'a': 1}", "true"),
            ("'ell' in 'hello'", "true"),
            ("true ? 1 : 1 / 0", "1"),
            ("[1, 2, 3][1] + {'a': 5}['a'] + {'a': 6}.a", "13"),
            ("0.0 / 0.0 == 0.0 / 0.0", "false"),
            ("null == null", "true"),
        ],
    );
}

#[test]
fn a_condition_is_decided_by_the_side_that_can_be_evaluated() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("1 / 0 == 1 || true", "true"),
            ("true || 1 / 0 == 1", "true"),
            ("1 / 0 == 1 && false", "false"),
            ("[0, 1].exists(x, 1 / x == 1)", "true"),
            ("[0, 2].all(x, 1 / x == 1)", "false"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("1 / 0 == 1 || false", "division by zero"),
            ("1 / 0 == 1 && true", "division by zero"),
            ("1 || false", "a condition must be true or false, this is int"),
            ("[0, 1].all(x, 1 / x == 1)", "division by zero"),
        ],
    );
}

#[test]
fn what_does_not_fit_is_an_error() {
    fail(
        &Stage::default(),
        Scope::Request,
        &[
            ("9223372036854775807 + 1", "the number does not fit"),
            ("9223372036854775807 * 2", "the number does not fit"),
            ("-(-9223372036854775807 - 1)", "the number does not fit"),
            ("0u - 1u", "the number does not fit"),
            ("(-9223372036854775807 - 1) / -1", "the number does not fit"),
            ("1 % 0", "division by zero"),
            ("'a' + 1", "`+` does not go with string and int"),
            ("'a' < 1", "`<` does not go with string and int"),
            ("1 >= 'a'", "`>=` does not go with int and string"),
            ("[1][1]", "the list has no such place"),
            ("[1][-1]", "the list has no such place"),
            ("{'a': 1}.b", "there is no `b`"),
            ("{'a': 1}[string(1)]", "the map has no such key"),
            ("{1.5: 1}", "expected string, int or bool as key"),
            ("'a'.b", "expected map, found string"),
            ("-'a'", "expected number, found string"),
            ("!1", "a condition must be true or false"),
        ],
    );
}

#[test]
fn loops_go_over_lists_and_the_keys_of_maps() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("[1, 2, 3].filter(x, x > 1).map(x, x * 10)", "[20, 30]"),
            ("[1, 2, 3].map(x, x > 1, x * 10)", "[20, 30]"),
            ("[1, 2].all(x, x > 0) && [1, 2].exists(x, x == 2) && [1, 2].exists_one(x, x == 2)", "true"),
            ("[2, 2].exists_one(x, x == 2)", "false"),
            ("[].all(x, false) && ![].exists(x, true)", "true"),
            ("{'a': 1, 'b': 2}.filter(k, k != 'a')", "['b']"),
            ("{'a': 1, 'b': 2}.map(k, k + k)", "['aa', 'bb']"),
            (
                "{'a': 1}.exists(k, k == 'a') && {'a': 1}.all(k, k == 'a') && {'a': 1}.exists_one(k, true)",
                "true",
            ),
            ("[[1, 2], [3]].map(x, x.map(y, x.size() + y))", "[[3, 4], [4]]"),
            ("[1, 2].map(x, [3].map(x, x))", "[[3], [3]]"),
            ("['b', 'a', 'c'].sortBy(x, x)", "['a', 'b', 'c']"),
            (
                "[{'n': 2, 'k': 'a'}, {'n': 1, 'k': 'b'}, {'n': 2, 'k': 'c'}].sortBy(x, x.n).map(x, x.k)",
                "['b', 'a', 'c']",
            ),
            ("[1.5, 1, 2u, 0.0 / 0.0].sortBy(x, x).map(x, string(x))", "['1', '1.5', '2', 'NaN']"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("[1, 'a'].sortBy(x, x)", "does not go with int and string"),
            ("'abc'.map(x, x)", "expected list or map, found string"),
            ("[1].map(1, 2)", "the first argument must be a name"),
            ("[1].filter(x, x)", "a condition must be true or false, this is int"),
            ("[1].map(x, y)", "there is no `y`"),
        ],
    );
}

#[test]
fn a_loops_variable_is_nearer_than_what_has_the_same_name() {
    come_to(
        &Stage::default(),
        Scope::Request,
        &[
            ("[{'method': 'mine'}].map(req, req.method)", "['mine']"),
            ("['a b'].map(url, url.size())", "[3]"),
            ("[{'geo': 1}].map(conn, conn.geo)", "[1]"),
        ],
    );
}

#[test]
fn values_are_converted_and_told_apart() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("string(1) + string(1.5) + string(true) + string(2u) + string(null)", "'11.5true2null'"),
            ("int('42') + int(1.9) + int(2u) + int(timestamp('1970-01-01T00:00:01Z'))", "46"),
            ("uint(3) + uint('4')", "7u"),
            ("double('1.5') + double(1)", "2.5"),
            ("bool('true') && !bool('false')", "true"),
            ("string(bytes('é')) + string(b'x')", "'éx'"),
            ("string(duration('90s'))", "'90s'"),
            ("string([1, {'a': null}])", "'[1,{\"a\":null}]'"),
            ("type(1) + type('a') + type([]) + type({}) + type(null)", "'intstringlistmapnull'"),
            ("dyn(1)", "1"),
            ("size('é') + size([1]) + size({'a': 1}) + size(b'é') + 'ab'.size() + bytes.size(b'abc')", "10"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("int('x')", "no whole number"),
            ("int(1e19)", "does not fit"),
            ("uint(-1)", "does not fit"),
            ("bool('perhaps')", "neither true nor false"),
            ("string(b'\\xff')", "the bytes are no text"),
            ("size(1)", "expected string, bytes, list or map, found int"),
        ],
    );
}

#[test]
fn dice_are_thrown_within_their_bounds() {
    let stage = Stage::default();
    for _ in 0..100 {
        assert!(matches!(stage.value("rand.int(3, 5)", Scope::Request), Ok(Value::Int(3..=5))));
        assert!(matches!(stage.value("rand.int()", Scope::Request), Ok(Value::Int(0..=1))));
        let Ok(Value::Double(drawn)) = stage.value("rand.double()", Scope::Request) else { panic!() };
        assert!((0.0..1.0).contains(&drawn));
    }
    fail(&stage, Scope::Request, &[("rand.int(5, 3)", "the wrong way round")]);
}

#[test]
fn members_are_asked_for_with_has() {
    let stage = Stage {
        vars: std::sync::Arc::new([("a".into(), Value::Null)].into_iter().collect()),
        ..Stage::default()
    };
    come_to(
        &stage,
        Scope::Request,
        &[
            ("has(vars.a) && !has(vars.b)", "true"),
            ("has({'a': 1}.a) && !has({'a': 1}.b)", "true"),
            ("has(req.headers.authorization) && !has(req.headers.nothing)", "true"),
            ("has(req.method) && has(conn.tls.sni) && !has(req.ts.body_received)", "true"),
            ("has(actions.ngrok.rate_limit)", "false"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("has(vars)", "`has` takes a member"),
            ("has(1)", "`has` takes a member"),
            ("has(conn.geo.city)", "there is no data here"),
            ("has(vars.b.c)", "there is no `b`"),
        ],
    );
}

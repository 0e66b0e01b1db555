//! Functions, family by family.

use policy::Scope;

use crate::stage::{Stage, come_to, fail};

#[test]
fn strings_are_searched_and_cut() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("'hello'.contains('ell') && 'hello'.startsWith('he') && 'hello'.endsWith('lo')", "true"),
            ("'hello'.matches('^h.*o$') && matches('hello', 'l+') && !'hello'.matches('^e')", "true"),
            ("'hello'.matches('^' + 'h')", "true"),
            ("'héllo'.charAt(1) + 'abc'.charAt(3)", "'é'"),
            ("'héllo'.indexOf('l')", "2"),
            ("'héllo'.indexOf('l', 3)", "3"),
            ("'hello'.indexOf('x')", "-1"),
            ("'hello'.lastIndexOf('l')", "3"),
            ("'hello'.lastIndexOf('l', 2)", "2"),
            ("'héllo'.substring(1, 3) + 'hello'.substring(3)", "'éllo'"),
            ("'a-b-c'.replace('-', '+') + 'a-b-c'.replace('-', '', 1)", "'a+b+cab-c'"),
            ("'a,b,c'.split(',')", "['a', 'b', 'c']"),
            ("'a,b,c'.split(',', 2)", "['a', 'b,c']"),
            ("'abc'.split('')", "['a', 'b', 'c']"),
            ("'a'.split(',', 0)", "[]"),
            (
                "'  x '.trim() + 'ÄB'.lower() + 'äb'.upper() + 'ÄB'.lowerAscii() + 'äb'.upperAscii()",
                "'xäbÄBÄbäB'",
            ),
            ("'añb'.reverse()", "'bña'"),
            ("strings.quote('a\"b\\n')", "'\"a\\\\\"b\\\\n\"'"),
            ("'10.1.2.3'.isPrivateIp() && !'8.8.8.8'.isPrivateIp() && !'x'.isPrivateIp()", "true"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("'abc'.charAt(4)", "no such place"),
            ("'abc'.substring(2, 1)", "no such place"),
            ("'abc'.matches('(')", "the pattern is no regular expression"),
            ("'abc'.matches('(' + ')(')", "no regular expression"),
            ("'abc'.matches('(a{1000}){1000}')", "the pattern is too large"),
            ("req.content_length.contains('a')", "expected string, found int"),
        ],
    );
}

#[test]
fn strings_are_formatted() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("'%s is %d, %.2f of %s'.format(['a', 1, 0.5, [1]])", "'a is 1, 0.50 of [1]'"),
            ("'%x %X %o %b %e %%'.format([255, 255, 8, 5, 1234.5])", "'ff FF 10 101 1.234500e+03 %'"),
            ("'%x'.format(['hi'])", "'6869'"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("'%d'.format(['a'])", "expected int, found string"),
            ("'%s'.format([])", "more places than values"),
            ("'%q'.format(['a'])", "means nothing"),
            ("'%.99f'.format([1.0])", "means nothing"),
            ("'%'.format([])", "ends in `%`"),
        ],
    );
}

#[test]
fn lists_are_joined_cut_and_sorted() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("['a', 'b'].join(', ') + ['c'].join() + [].join('-')", "'a, bc'"),
            ("[1, 2, 3, 4].slice(1, 3)", "[2, 3]"),
            ("[1, [2, [3]]].flatten()", "[1, 2, [3]]"),
            ("[1, [2, [3]]].flatten(2)", "[1, 2, 3]"),
            ("[3, 1, 2].sort()", "[1, 2, 3]"),
            ("[1, 1.0, 2, 'a', 'a'].distinct()", "[1, 2, 'a']"),
            ("lists.range(4)", "[0, 1, 2, 3]"),
            ("[1, 2].reverse()", "[2, 1]"),
            ("[1, 'a'].encodeJson()", "'[1,\"a\"]'"),
            ("[1].randomize()", "[1]"),
            ("[1].random()", "1"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("[1].join()", "expected string, found int"),
            ("[1].slice(0, 2)", "no such place"),
            ("[1, 'a'].sort()", "does not go with"),
            ("lists.range(100000000)", "too much memory"),
        ],
    );
}

#[test]
fn formats_are_written_and_read() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("base64.encode('hi') + base64.encode(b'hi') + 'hi'.encodeBase64()", "'aGk=aGk=aGk='"),
            ("base64.decode('aGk=')", "b'hi'"),
            ("'aGk'.decodeBase64()", "'hi'"),
            ("basic_auth.encode('user', 'pass')", "'Basic dXNlcjpwYXNz'"),
            ("json.encode({'b': 1, 'a': [true, null, 'x']})", "'{\"a\":[true,null,\"x\"],\"b\":1}'"),
            ("json.decode('{\"a\":[1,2.5]}').a", "[1, 2.5]"),
            ("'{\"a\":1}'.decodeJson().a", "1"),
            ("{'a': 1}.encodeJson()", "'{\"a\":1}'"),
            ("'[1]'.isJson() && !'[1'.isJson()", "true"),
            ("queryString.encode({'a': ['1', '2'], 'b': 'x y'})", "'a=1&a=2&b=x+y'"),
            ("{'a': 'b'}.encodeQueryString()", "'a=b'"),
            ("queryString.decode('a=1&a=2').a", "['1', '2']"),
            ("'a=b'.decodeQueryString().a[0]", "'b'"),
            ("'a=b'.isQueryString() && !'a b'.isQueryString()", "true"),
            ("url.escape('a b/c') + 'ä'.escapeUrl()", "'a+b%2Fc%C3%A4'"),
            ("url.unescape('a+b%2Fc') + '%zz%'.unescapeUrl()", "'a b/c%zz%'"),
            ("url.parse('https://u@example.com:81/a%20b?c=d#e').host", "'example.com'"),
            ("'https://example.com:81/a%20b?c=d#e'.parseUrl().path", "'/a b'"),
            ("'http://example.com/?c=d'.parseUrl().query_params.c[0]", "'d'"),
            ("'https://[::1]:8080/'.parseUrl().host", "'::1'"),
            ("'https://example.com'.isURL() && !'example'.isURL() && !'/a'.isURL()", "true"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("'*'.decodeBase64()", "this is not base64"),
            ("base64.decode('*')", "this is not base64"),
            ("json.decode('{')", "this is not JSON"),
            ("url.parse('http://[')", "this is no URL"),
        ],
    );
}

#[test]
fn digests_have_two_forms() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("hash.sha256('abc')", "'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'"),
            ("'abc'.sha256('base64')", "'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='"),
            ("hash.md5('abc', 'hex') == 'abc'.md5()", "true"),
            ("hash.crc32('abc')", "'352441c2'"),
            ("'abc'.sha1()", "'a9993e364706816aba3e25717850c26c9cd0d89d'"),
            ("hash.sha512('abc').size() + 'abc'.crc64().size() + 'abc'.xxhash64().size()", "160"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[("hash.md5('abc', 'octal')", "`hex` or `base64`"), ("1.0.md5()", "found")],
    );
}

#[test]
fn addresses_are_in_ranges() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("inCidrRange('10.1.2.3', '10.0.0.0/8') && !inCidrRange('11.1.2.3', '10.0.0.0/8')", "true"),
            ("inCidrRange('::ffff:10.1.2.3', '10.0.0.0/8')", "true"),
            ("inCidrRange('2001:db8::1', '2001:db8::/32')", "true"),
            ("inCidrRanges('10.1.2.3', ['192.168.0.0/16', '10.0.0.0/8'])", "true"),
            ("inCidrRanges('10.1.2.3', ['no range'.lower(), '10.0.0.0/8'])", "true"),
            ("inCidrRanges('10.1.2.3', [])", "false"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            (
                "inCidrRange('10.1.2.3', '10.0.0.1')",
                "`10.0.0.1` is no range of addresses; did you mean `10.0.0.1/32`?",
            ),
            (
                "inCidrRanges('10.1.2.3', ['10.0.0.0/8', '10.0.0.0/99'])",
                "`10.0.0.0/99` is no range of addresses",
            ),
            ("inCidrRange('10.1.2.3', 'x'.lower())", "this is no range of addresses"),
            ("inCidrRange('nobody', '10.0.0.0/8')", "this is no IP address"),
        ],
    );
}

#[test]
fn times_are_told_in_places() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("timestamp(time.now).getFullYear()", "2026"),
            ("timestamp(time.now).getMonth()", "10"),
            ("timestamp(time.now).getDate() + timestamp(time.now).getDayOfMonth()", "43"),
            ("timestamp(time.now).getDayOfWeek()", "0"),
            ("timestamp(time.now).getDayOfYear()", "325"),
            ("timestamp(time.now).getHours() + timestamp(time.now).getMinutes()", "12"),
            ("timestamp(time.now).getSeconds() + timestamp(time.now).getMilliseconds()", "259"),
            ("timestamp(time.now).getHours('+05:30')", "12"),
            ("timestamp(time.now).getHours('-08:00')", "23"),
            ("timestamp(time.now).getDate('-08:00')", "21"),
            ("timestamp(time.now).getHours('America/New_York')", "2"),
            ("timestamp('2026-07-01T12:00:00Z').getHours('America/New_York')", "8"),
            ("time.now.getHours()", "7"),
            ("timestamp(time.now) - timestamp(conn.ts.start) == duration('9.25s')", "true"),
            (
                "timestamp('2026-01-01T00:00:00Z') + duration('1h30m') == timestamp('2026-01-01T01:30:00Z')",
                "true",
            ),
            ("timestamp(time.now) > timestamp('2026-01-01T00:00:00+01:00')", "true"),
            ("duration('90m').getHours() + duration('90m').getMinutes()", "91"),
            ("duration('-1.5s') + duration('500ms') == duration('-1s')", "true"),
            ("string(duration('1h1m1s'))", "'3661s'"),
            ("int(timestamp(0)) + timestamp(0).getFullYear()", "1970"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("timestamp('yesterday')", "RFC 3339"),
            ("duration('soon')", "no length of time"),
            ("duration('1')", "no length of time"),
            ("duration('9999999999h')", "does not fit"),
            ("timestamp(time.now).getHours('Middle/Earth')", "no time zone"),
        ],
    );
}

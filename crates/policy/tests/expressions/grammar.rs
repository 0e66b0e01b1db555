//! Expressions that mean something, most of them, made of chance: each part is of the kind that is asked
//! for where it stands.

/// Makes expressions of bytes, which are the dice.
pub(crate) struct Grammar<'d> {
    dice: std::slice::Iter<'d, u8>,
    depth: usize,
}

impl<'d> Grammar<'d> {
    pub(crate) fn new(dice: &'d [u8]) -> Self {
        Self { dice: dice.iter(), depth: 0 }
    }

    fn one_of<'o>(&mut self, options: &[&'o str]) -> &'o str {
        let drawn = self.dice.next().copied().unwrap_or_default();
        options[usize::from(drawn) % options.len()]
    }

    /// Fills a pattern in which letters behind dollars stand for parts: T text, N number, L list of texts, M list of
    /// numbers, O object, C condition, W time.
    fn fill(&mut self, leaves: &[&str], patterns: &[&str]) -> String {
        // When the dice run out, so does the expression.
        let pattern =
            if self.depth > 5 || self.dice.len() < 2 { self.one_of(leaves) } else { self.one_of(patterns) };
        self.depth += 1;
        let mut out = String::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            if character != '$' {
                out.push(character);
                continue;
            }
            out.push_str(&match characters.next() {
                Some('T') => self.text(),
                Some('N') => self.number(),
                Some('L') => self.texts(),
                Some('M') => self.numbers(),
                Some('O') => self.object(),
                Some('W') => self.time(),
                Some('C') => self.condition(),
                other => other.map(String::from).unwrap_or_default(),
            });
        }
        self.depth -= 1;
        out
    }

    pub(crate) fn text(&mut self) -> String {
        let leaves = [
            "'a'",
            "''",
            "'äö ü'",
            "req.method",
            "req.host",
            "req.url.path",
            "req.headers['x-tag'][0]",
            "vars.text",
            "conn.client_ip",
            "time.now",
            "secrets.get('openai', 'api-key')",
            "req.cookies['session'][0].value",
        ];
        self.fill(
            &leaves,
            &[
                "$T",
                "($T + $T)",
                "$T.upper()",
                "$T.lower()",
                "$T.trim()",
                "$T.reverse()",
                "$T.replace($T, $T)",
                "$T.substring(0, size($T) % 3)",
                "$L.join($T)",
                "string($N)",
                "string($M)",
                "($C ? $T : $T)",
                "$T.encodeBase64()",
                "$T.encodeBase64().decodeBase64()",
                "$T.escapeUrl()",
                "$T.unescapeUrl()",
                "json.encode($O)",
                "json.encode($L)",
                "$T.sha256()",
                "$T.crc64('base64')",
                "'%s-%d'.format([$T, $N])",
                "strings.quote($T)",
                "$O.encodeQueryString()",
                "$L[0]",
                "string($W)",
                "basic_auth.encode($T, $T)",
                "$T.charAt(0)",
            ],
        )
    }

    fn number(&mut self) -> String {
        self.fill(
            &["0", "1", "7", "-3", "size(req.headers)", "conn.client_port"],
            &[
                "$N",
                "($N + $N)",
                "($N - $N)",
                "($N * 3)",
                "($N / 2)",
                "($N % 7)",
                "size($T)",
                "$L.size()",
                "$M.size()",
                "$T.indexOf($T)",
                "$T.lastIndexOf($T)",
                "($C ? $N : $N)",
                "$W.getHours()",
                "int(string($N))",
                "$M[0]",
                "$W.getDayOfYear('Europe/Berlin')",
                "rand.int(0, 9)",
                "-($N)",
            ],
        )
    }

    fn texts(&mut self) -> String {
        self.fill(
            &["['b', 'a']", "req.headers['x-tag']", "getReqHeader('X-Tag')", "['a']"],
            &[
                "$L",
                "[$T]",
                "[$T, $T]",
                "($L + $L)",
                "$L.sort()",
                "$L.distinct()",
                "$L.map(x, x + $T)",
                "$L.filter(x, x.size() > $N)",
                "$T.split('')",
                "$T.split($T)",
                "$L.sortBy(x, x.size())",
                "$L.reverse()",
                "$M.map(n, string(n))",
                "[$L, $L].flatten()",
                "$O.map(k, k)",
                "$L.randomize()",
                "getQueryParam($T)",
            ],
        )
    }

    fn numbers(&mut self) -> String {
        self.fill(
            &["[1, 2, 3]", "lists.range(20)", "vars.list"],
            &[
                "$M",
                "[$N, $N]",
                "($M + $M)",
                "$M.sort()",
                "$M.distinct()",
                "$M.map(n, n * 2)",
                "$M.filter(n, n > $N)",
                "$M.map(a, $M.map(b, a + b)).flatten()",
                "$L.map(x, x.size())",
                "lists.range(size($T) % 99)",
                "$M.map(n, $C, n + $N)",
                "$M.sortBy(n, -n)",
            ],
        )
    }

    fn object(&mut self) -> String {
        self.fill(
            &["{}", "{'a': 'b'}", "req.headers", "req.url.query_params"],
            &[
                "{'k': $T}",
                "{'k': $T, 'l': $L}",
                "json.decode('{\"a\": [\"b\"]}')",
                "queryString.decode($T.escapeUrl())",
                "{'n': $T, 'k': $T}",
                "($C ? $O : $O)",
            ],
        )
    }

    fn time(&mut self) -> String {
        self.fill(
            &["timestamp(time.now)", "timestamp(0)"],
            &["$W", "($W + duration('90m'))", "($W - duration('36h'))", "timestamp(string($W))"],
        )
    }

    pub(crate) fn condition(&mut self) -> String {
        self.fill(
            &["true", "false", "hasReqHeader('X-Tag')"],
            &[
                "$C",
                "($C && $C)",
                "($C || $C)",
                "!($C)",
                "($T == $T)",
                "($N < $N)",
                "($T in $L)",
                "($N in $M)",
                "($L == $L)",
                "$T.contains($T)",
                "$T.startsWith($T)",
                "$T.matches('^[a-z]+$$')",
                "$L.exists(x, x == $T)",
                "$M.all(n, n >= $N)",
                "$M.exists_one(n, n == $N)",
                "$T.isJson()",
                "$T.isURL()",
                "($W > $W)",
                "inCidrRange(conn.client_ip, '10.0.0.0/8')",
                "$T.isPrivateIp()",
                "($T > $T)",
                "($O != $O)",
                "('k' in $O)",
            ],
        )
    }
}

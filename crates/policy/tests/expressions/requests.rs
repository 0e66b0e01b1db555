//! What is known of connections, requests and answers.

use policy::Scope;

use crate::stage::{Stage, come_to, fail};

#[test]
fn requests_are_known_by_their_parts() {
    come_to(
        &Stage::default(),
        Scope::Request,
        &[
            ("req.method", "'POST'"),
            ("req.id", "'req_1'"),
            ("req.host", "'ai.example.com:8443'"),
            ("req.version", "'HTTP/1.1'"),
            ("req.content_length", "42"),
            ("req.content_type", "'application/json'"),
            ("req.content_type.raw", "'application/json; charset=utf-8'"),
            ("req.content_type.parameters.charset", "'utf-8'"),
            ("req.content_encoding", "['gzip', 'br']"),
            ("req.user_agent", "'curl/8.5.0'"),
            ("req.user_agent.name + req.user_agent.version", "'curl8.5.0'"),
            ("req.user_agent.is_bot || req.user_agent.is_mobile", "false"),
            ("req.location", "''"),
            ("req.ts.header_received", "'2026-11-22T07:05:09Z'"),
            ("req.ts.body_received", "''"),
            ("req['method']", "'POST'"),
        ],
    );
}

#[test]
fn addresses_are_known_by_their_parts() {
    come_to(
        &Stage::default(),
        Scope::Request,
        &[
            ("req.url.scheme", "'https'"),
            ("req.url.authority", "'ai.example.com:8443'"),
            ("req.url.host", "'ai.example.com'"),
            ("req.url.port", "8443"),
            ("req.url.path", "'/v1/chat room'"),
            ("req.url.raw_path", "'/v1/chat%20room'"),
            ("req.url.query", "'tag=a&tag=b&q=x%26y'"),
            ("req.url.uri", "'/v1/chat%20room?tag=a&tag=b&q=x%26y'"),
            ("req.url.raw", "'https://ai.example.com:8443/v1/chat%20room?tag=a&tag=b&q=x%26y'"),
            ("req.url.query_params['tag']", "['a', 'b']"),
            ("req.url.query_params.q[0]", "'x&y'"),
            ("getQueryParam('tag')[1]", "'b'"),
            ("hasQueryParam('tag') && !hasQueryParam('none')", "true"),
        ],
    );
}

#[test]
fn headers_are_found_in_any_case() {
    come_to(
        &Stage::default(),
        Scope::Request,
        &[
            ("req.headers['x-tag']", "['one', 'two']"),
            ("req.headers['X-Tag'][1]", "'two'"),
            ("req.headers.authorization[0]", "'Bearer letmein'"),
            ("req.headers['X-TAG'.lower()]", "['one', 'two']"),
            ("getReqHeader('X-TAG')", "['one', 'two']"),
            ("hasReqHeader('x-tag') && hasReqHeader('X-Tag') && !hasReqHeader('x-none')", "true"),
            ("'x-tag' in req.headers && 'X-Tag' in req.headers && !('x-none' in req.headers)", "true"),
            ("req.headers.exists(name, name == 'x-tag')", "true"),
            ("req.headers.size() > 3", "true"),
            ("'one' in req.headers['x-tag']", "true"),
            ("req.headers['x-tag'].exists(v, v.startsWith('tw'))", "true"),
        ],
    );
}

#[test]
fn what_was_not_sent_reads_as_nothing() {
    come_to(
        &Stage::default(),
        Scope::Request,
        &[
            ("req.headers['x-none'][0]", "''"),
            ("req.headers['x-tag'][7]", "''"),
            ("req.headers['no header is called this'][0]", "''"),
            ("req.headers[string('x-none')][0]", "''"),
            ("req.headers['x-none']", "[]"),
            ("req.headers['x-none'].size()", "0"),
            ("'' in req.headers['x-none']", "false"),
            ("getReqHeader('X-None')[0]", "''"),
            ("req.cookies['none'][0].value", "''"),
            ("req.cookies.none[0].name", "''"),
            ("getReqCookie('none').value", "''"),
            ("req.url.query_params['none'][0]", "''"),
            ("getQueryParam('none')[0]", "''"),
            ("req.headers['x-none'][0] != 'Bearer ' + secrets.get('gateway-auth', 'access-token')", "true"),
        ],
    );
}

#[test]
fn cookies_have_names_and_values() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Response,
        &[
            ("req.cookies['session'][0].value", "'abc'"),
            ("req.cookies.session[1].value", "'def'"),
            ("req.cookies['theme'][0].value", "'dark'"),
            ("getReqCookie('session').value", "'abc'"),
            ("hasReqCookie('session') && !hasReqCookie('none')", "true"),
            ("res.cookies['id'][0].value", "'7'"),
            ("res.cookies.id[0].max_age", "60"),
            ("res.cookies.id[0].http_only && res.cookies.id[0].secure", "true"),
            ("res.cookies.id[0].same_site + res.cookies.id[0].path", "'Lax/'"),
            ("res.cookies.id[0].unparsed_attributes", "['Priority=High']"),
            ("getResCookie('id').name", "'id'"),
            ("hasResCookie('id') && !hasResCookie('session')", "true"),
        ],
    );
}

#[test]
fn answers_are_known_once_they_come() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Response,
        &[
            ("res.status_code", "200"),
            ("res.headers['location'][0]", "'/elsewhere'"),
            ("res.location", "'/elsewhere'"),
            ("res.content_type", "'text/event-stream'"),
            ("res.content_length", "-1"),
            ("res.content_encoding", "[]"),
            ("getResHeader('Location')[0]", "'/elsewhere'"),
            ("hasResHeader('LOCATION')", "true"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("res.status_code", "`res.status_code` is not known when a request comes in"),
            ("res", "`res` is not known when a request comes in"),
            ("getResHeader('x')", "`getResHeader` has no meaning when a request comes in"),
        ],
    );
}

#[test]
fn connections_and_endpoints_are_known_everywhere() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::TcpConnect,
        &[
            ("conn.client_ip", "'203.0.113.9'"),
            ("conn.client_port", "50123"),
            ("conn.server_ip + string(conn.server_port)", "'10.0.0.1443'"),
            ("conn.ts.start", "'2026-11-22T07:05:00Z'"),
            ("conn.tls.sni", "'ai.example.com'"),
            ("conn.tls.version + conn.tls.negotiated_alpn", "'1.3h2'"),
            ("conn.tls.cipher_suite", "'TLS_AES_128_GCM_SHA256'"),
            ("endpoint.id + endpoint.protocol", "'ep_1https'"),
            ("endpoint.url", "'https://ai.example.com'"),
            ("endpoint.addr", "'ai.example.com:443'"),
            ("endpoint.host + string(endpoint.port)", "'ai.example.com443'"),
            ("time.now", "'2026-11-22T07:05:09.25Z'"),
            ("inCidrRange(conn.client_ip, '203.0.113.0/24')", "true"),
            ("inCidrRanges(conn.client_ip, ['10.0.0.0/8', '203.0.113.9/32'])", "true"),
        ],
    );
    fail(
        &stage,
        Scope::TcpConnect,
        &[
            ("req.method", "`req.method` is not known before there is a request"),
            ("getReqHeader('x')", "has no meaning before there is a request"),
        ],
    );
}

#[test]
fn a_whole_namespace_is_a_map_of_what_is_in_it() {
    come_to(
        &Stage::default(),
        Scope::Request,
        &[
            ("conn.ts", "{'start': '2026-11-22T07:05:00Z'}"),
            ("conn.tls.sni == conn['tls']['sni']", "true"),
            ("endpoint.size()", "6"),
            ("'client_ip' in conn && !('geo' in conn)", "true"),
            ("req.url.exists(part, part == 'path')", "true"),
        ],
    );
}

#[test]
fn what_there_is_no_data_for_is_refused_by_name() {
    fail(
        &Stage::default(),
        Scope::Response,
        &[
            ("conn.geo.country_code == 'US'", "`conn.geo` is not offered"),
            ("conn['geo'].country_code == 'US'", "`conn.geo` is not offered"),
            ("'vpn' in conn.client_ip.categories", "`conn.client_ip.categories` is not offered"),
            ("conn.client_ip['categories'] == []", "`conn.client_ip.categories` is not offered"),
            ("conn.client_ip.is_tor_node", "is not offered"),
            ("conn.client_ip.is_on_blocklist", "is not offered"),
            ("conn.client_ip.as.number == 1", "is not offered"),
            ("conn.client_ip.geo.location.country_code", "is not offered"),
            ("conn.server_region", "is not offered"),
            ("conn.tls.client.subject.common_name", "is not offered"),
            ("conn.tls.ja4_fingerprint", "is not offered"),
            ("req.trailers", "is not offered"),
            ("req.body", "bodies are not read"),
            ("conn.bytes_in > 5", "is not offered"),
        ],
    );
}

#[test]
fn conditions_for_trying_again_know_the_attempts() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::RequestRetry,
        &[
            ("attempts < 3 && last_attempt.res.status_code >= 500", "true"),
            ("has(last_attempt.error)", "false"),
        ],
    );
    fail(&stage, Scope::Request, &[("attempts < 3", "`attempts` is not known when a request comes in")]);
}

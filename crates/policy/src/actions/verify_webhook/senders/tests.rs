use super::*;

fn signs(
    name: &str,
    secret: &str,
    headers: &[(&'static str, &str)],
    url: &str,
    body: &str,
    now: i64,
) -> bool {
    let sender = SENDERS.iter().find(|sender| sender.name == name).unwrap();
    let headers =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    sender.has_signed(&Signed { headers: &headers, url, body: body.as_bytes(), now }, secret)
}

/// The example of GitHub's documentation.
#[test]
fn githubs_own_example_is_right() {
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let header = [("x-hub-signature-256", signature)];
    assert!(signs("github", "It's a Secret to Everybody", &header, "", "Hello, World!", 0));
    assert!(!signs("github", "It's a Secret to Everybody", &header, "", "Hello, World?", 0));
    assert!(!signs("github", "another", &header, "", "Hello, World!", 0));
    assert!(!signs("github", "It's a Secret to Everybody", &[], "", "Hello, World!", 0));
    assert!(!signs("github", "It's a Secret to Everybody", &[header[0], header[0]], "", "Hello, World!", 0));
}

/// The example of Slack's documentation.
#[test]
fn slacks_own_example_is_right_while_it_is_fresh() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
                &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
                &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
                &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let headers = [
        ("x-slack-request-timestamp", "1531420618"),
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ];
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    assert!(signs("slack", secret, &headers, "", body, 1_531_420_618 + 200));
    assert!(!signs("slack", secret, &headers, "", body, 1_531_420_618 + 301));
}

/// The example of the Standard Webhooks specification.
#[test]
fn the_standards_own_example_is_right() {
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,nonsense v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(signs("svix", secret, &headers, "", r#"{"test": 2432232314}"#, 1_614_265_330));
    assert!(!signs("svix", secret, &headers, "", r#"{"test": 2432232315}"#, 1_614_265_330));
}

/// The example of Twilio's documentation.
#[test]
fn twilios_own_example_is_right() {
    let body =
        "CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212";
    let headers = [
        ("x-twilio-signature", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    assert!(signs("twilio", "12345", &headers, url, body, 0));
    assert!(!signs("twilio", "12345", &headers, "https://mycompany.com/", body, 0));
}

#[test]
fn fields_are_signed_with_their_time() {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"whsec_x").unwrap();
    mac.update(b"1000.{}");
    let value = format!("t=1000,v1=00,v1={},v0=ff", hex::encode(mac.finalize().into_bytes()));
    assert!(signs("stripe", "whsec_x", &[("stripe-signature", &value)], "", "{}", 1200));
    assert!(!signs("stripe", "whsec_x", &[("stripe-signature", &value)], "", "{}", 2000));
    assert!(!signs("stripe", "whsec_x", &[("stripe-signature", "v1=00")], "", "{}", 1200));
}

#[test]
fn every_sender_refuses_what_is_not_signed() {
    for sender in SENDERS {
        assert!(!signs(sender.name, "secret", &[], "https://a.example/", "{}", 0), "{}", sender.name);
    }
}

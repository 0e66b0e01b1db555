//! What a client says it is. It may say what it likes: this is for statistics and for courtesy, and no
//! protection.

use crate::value::Value;

/// How much of the header is looked at, in bytes.
const LONGEST: usize = 512;

/// A client as it presents itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct UserAgent<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) os: &'a str,
    pub(crate) os_version: String,
    pub(crate) device: &'a str,
    pub(crate) is_mobile: bool,
    pub(crate) is_tablet: bool,
    pub(crate) is_desktop: bool,
    pub(crate) is_bot: bool,
    pub(crate) url: &'a str,
}

/// Browsers by the product that tells them from those whose products they name as well.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg", "Edge"),
    ("EdgA", "Edge"),
    ("EdgiOS", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Browser"),
    ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
];

/// Operating systems by the words that stand before their version, the most telling first.
const SYSTEMS: &[(&str, &str)] = &[
    ("Windows NT ", "Windows"),
    ("CPU iPhone OS ", "iOS"),
    ("CPU OS ", "iOS"),
    ("Android ", "Android"),
    ("Android", "Android"),
    ("Mac OS X ", "macOS"),
    ("Macintosh", "macOS"),
    ("CrOS ", "ChromeOS"),
    ("Linux", "Linux"),
];

/// Words that robots have in their names.
const ROBOTS: &[&str] = &["bot", "crawler", "spider", "slurp", "facebookexternalhit", "headlesschrome"];

impl<'a> UserAgent<'a> {
    /// Reads the header.
    pub(crate) fn of(header: &'a str) -> Self {
        let end = header.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or(0);
        let text = if header.len() <= LONGEST { header } else { &header[..end] };
        let small = text.to_ascii_lowercase();
        let is_bot = ROBOTS.iter().any(|word| small.contains(word));
        let (name, version) = if is_bot { robot(text) } else { program(text) };
        let (os, os_version) = system(text);
        let device = ["iPhone", "iPad"].into_iter().find(|device| text.contains(device)).unwrap_or_default();
        let is_tablet = device == "iPad" || (os == "Android" && !text.contains("Mobile"));
        let is_mobile = !is_tablet && (device == "iPhone" || text.contains("Mobile"));
        let is_desktop = !is_bot && matches!(os, "Windows" | "macOS" | "Linux" | "ChromeOS");
        let url = text.split(['(', ')', ';', ' ', ',']).map(|word| word.trim_start_matches('+'));
        let url = url.into_iter().find(|word| word.starts_with("http://") || word.starts_with("https://"));
        let url = url.unwrap_or_default();
        Self { name, version, os, os_version, device, is_mobile, is_tablet, is_desktop, is_bot, url }
    }

    /// A member by its name.
    pub(crate) fn member(self, name: &str) -> Value {
        let Self {
            name: own,
            version,
            os,
            os_version,
            device,
            is_mobile,
            is_tablet,
            is_desktop,
            is_bot,
            url,
        } = self;
        match name {
            "name" => Value::text(own),
            "version" => Value::text(version),
            "os" => Value::text(os),
            "os_version" => Value::text(os_version),
            "device" => Value::text(device),
            "is_mobile" => Value::Bool(is_mobile),
            "is_tablet" => Value::Bool(is_tablet),
            "is_desktop" => Value::Bool(is_desktop),
            "is_bot" => Value::Bool(is_bot),
            _ => Value::text(url),
        }
    }
}

/// `Name/1.2`, with what stands before and behind the stroke.
fn products(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split([' ', '(', ')', ';', ',']).filter_map(|word| word.split_once('/'))
}

fn program(text: &str) -> (&str, &str) {
    for (product, name) in BROWSERS {
        if let Some((_, version)) = products(text).find(|(each, _)| each == product) {
            return (name, version);
        }
    }
    let safari = products(text).any(|(product, _)| product == "Safari");
    let version = products(text).find(|(product, _)| *product == "Version");
    match (safari, version) {
        (true, Some((_, version))) => ("Safari", version),
        // Programs name themselves first: `curl/8.5.0`, `OpenAI/Python 1.57.0`.
        _ => {
            let (name, version) =
                products(text).next().unwrap_or((text.split(' ').next().unwrap_or_default(), ""));
            let digits = version.starts_with(|c: char| c.is_ascii_digit());
            (name, if digits { version } else { "" })
        }
    }
}

fn robot(text: &str) -> (&str, &str) {
    let named = |name: &str| ROBOTS.iter().any(|word| name.to_ascii_lowercase().contains(word));
    products(text).find(|(name, _)| named(name)).unwrap_or_else(|| program(text))
}

fn system(text: &str) -> (&'static str, String) {
    for (words, name) in SYSTEMS {
        if let Some((_, behind)) = text.split_once(words) {
            let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '_');
            let version = &behind[..behind.len() - behind.trim_start_matches(number).len()];
            return (name, version.replace('_', "."));
        }
    }
    ("", String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_known_by_what_they_say() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
        let edge = format!("{chrome} Edg/131.0.2903.51");
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1";
        let tablet = "Mozilla/5.0 (Linux; Android 13; SM-X900) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
        let robot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
        for (text, name, version, os, kind) in [
            (chrome, "Chrome", "131.0.0.0", "Windows", "desktop"),
            (&edge, "Edge", "131.0.2903.51", "Windows", "desktop"),
            (phone, "Safari", "17.4", "iOS", "mobile"),
            (tablet, "Chrome", "120.0.0.0", "Android", "tablet"),
            (robot, "Googlebot", "2.1", "", "bot"),
            ("curl/8.5.0", "curl", "8.5.0", "", ""),
            ("OpenAI/Python 1.57.0", "OpenAI", "", "", ""),
            ("something", "something", "", "", ""),
            ("", "", "", "", ""),
        ] {
            let found = UserAgent::of(text);
            assert_eq!((found.name, found.version, found.os), (name, version, os), "{text}");
            let kinds = [found.is_desktop, found.is_mobile, found.is_tablet, found.is_bot];
            assert_eq!(kinds, ["desktop", "mobile", "tablet", "bot"].map(|each| each == kind), "{text}");
        }
        assert_eq!(UserAgent::of(robot).url, "http://www.google.com/bot.html");
        assert_eq!(UserAgent::of(phone).os_version, "17.4");
        assert_eq!(UserAgent::of(phone).device, "iPhone");
        let long = "ä".repeat(1_000);
        assert!(UserAgent::of(&long).name.len() <= LONGEST);
    }
}

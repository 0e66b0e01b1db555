//! Places at which a test can make a process die as if the machine had lost power.

/// Kills the process with SIGKILL if `TOLLGATE_FAILPOINT` names this point: `name` at its first
/// hit, `name:N` at its N-th. Does nothing in release builds.
#[inline]
pub fn failpoint(name: &str) {
    #[cfg(debug_assertions)]
    armed::hit(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// As [`failpoint`], a moment later: for a point whose effect another task has yet to bring about,
/// such as a request that is on its way out.
#[inline]
pub fn failpoint_soon(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::hit_soon(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    struct Armed {
        name: String,
        hits_left: AtomicU64,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let text = std::env::var("TOLLGATE_FAILPOINT").ok().filter(|text| !text.is_empty())?;
        let (name, hits) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Armed { name: name.to_owned(), hits_left: AtomicU64::new(hits.parse().unwrap_or(1)) })
    });

    pub(super) fn hit_soon(name: &'static str) {
        if ARMED.as_ref().is_some_and(|armed| armed.name == name) {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                hit(name);
            });
        }
    }

    pub(super) fn hit(name: &str) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.name == name) else { return };
        if armed.hits_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            // The signal may be delivered to another thread first; this one must not go on.
            loop {
                std::thread::park();
            }
        }
    }
}

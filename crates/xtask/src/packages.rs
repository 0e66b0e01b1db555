//! Installs what is missing with the system's package manager when that needs no question, and
//! else says which command would.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::children::{Children, Program};
use crate::progress;

/// Something that the errands need and that packages bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Postgres,
    Redis,
    Make,
    Python,
    PythonVenv,
    Node,
    LoadGenerator,
}

/// The package managers that we know how to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Apk,
    Pacman,
    Brew,
}

impl Manager {
    const ALL: [(Manager, &'static str); 5] = [
        (Manager::Apt, "apt-get"),
        (Manager::Dnf, "dnf"),
        (Manager::Apk, "apk"),
        (Manager::Pacman, "pacman"),
        (Manager::Brew, "brew"),
    ];

    fn of_this_machine() -> Option<Self> {
        Self::ALL.into_iter().find(|(_, program)| on_path(program).is_some()).map(|(manager, _)| manager)
    }

    /// The package that brings it. Where Redis left a distribution over its licence, its
    /// successor there, Valkey, does the same.
    fn package(self, need: Need) -> &'static str {
        use Manager::{Apk, Apt, Brew, Dnf, Pacman};
        match (need, self) {
            (Need::Postgres, Apt | Apk | Pacman) => "postgresql",
            (Need::Postgres, Dnf) => "postgresql-server",
            (Need::Postgres, Brew) => "postgresql@17",
            (Need::Redis, Apt) => "redis-server",
            (Need::Redis, Apk | Brew) => "redis",
            (Need::Redis, Dnf | Pacman) => "valkey",
            (Need::Make, _) => "make",
            (Need::Python, Pacman) => "python",
            (Need::Python, _) => "python3",
            (Need::PythonVenv, Apt) => "python3-venv",
            (Need::PythonVenv, Pacman) => "python",
            (Need::PythonVenv, _) => "python3",
            (Need::LoadGenerator, _) => "wrk",
            (Need::Node, Brew) => "node",
            (Need::Node, _) => "nodejs npm",
        }
    }

    /// The commands that install the packages, without a question.
    fn commands(self, packages: &str) -> Vec<String> {
        match self {
            Manager::Apt => vec![
                "apt-get update -q".to_owned(),
                format!("apt-get install -q -y --no-install-recommends {packages}"),
            ],
            Manager::Dnf => vec![format!("dnf install -y {packages}")],
            Manager::Apk => vec![format!("apk add {packages}")],
            Manager::Pacman => vec![format!("pacman -Sy --noconfirm --needed {packages}")],
            Manager::Brew => vec![format!("brew install {packages}")],
        }
    }
}

/// Installs what brings the needed things, or fails with the commands to type.
pub(crate) fn install(children: &Children, needs: &[Need]) -> Result<()> {
    let Some(manager) = Manager::of_this_machine() else {
        bail!("{needs:?} missing, and no package manager that we know; please install them");
    };
    let packages: Vec<_> = needs.iter().map(|need| manager.package(*need)).collect();
    let commands = manager.commands(&packages.join(" "));
    let Some(rights) = Rights::to_install(manager) else {
        let lines: Vec<_> = commands.iter().map(|command| format!("    sudo {command}")).collect();
        bail!("{needs:?} missing. Please install them, then try again:\n{}", lines.join("\n"));
    };
    let _quiet = QuietServices::begin(manager, rights);
    for command in commands {
        progress::note(&command);
        let mut words: Vec<&str> = command.split(' ').collect();
        if rights == Rights::Sudo {
            // `env` because sudo does not hand the environment on.
            words.splice(0..0, ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]);
        }
        children.run(
            Program::new("the package manager", words[0])
                .arguments(&words[1..])
                .environment("DEBIAN_FRONTEND", "noninteractive")
                // Debian's own way to say that nothing is to be started now.
                .environment("RUNLEVEL", "1"),
        )?;
    }
    Ok(())
}

/// How we may install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    Ours,
    Sudo,
}

impl Rights {
    fn to_install(manager: Manager) -> Option<Self> {
        if manager == Manager::Brew || rustix::process::geteuid().is_root() {
            return Some(Rights::Ours);
        }
        let asked = Command::new("sudo").args(["-n", "true"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success()).then_some(Rights::Sudo)
    }
}

/// While it lives, Debian's packages do not start the services that they bring: ours are private.
/// A policy that the machine has already is left alone.
struct QuietServices {
    rights: Rights,
    file: Option<&'static str>,
}

impl QuietServices {
    const POLICY: &'static str = "/usr/sbin/policy-rc.d";

    fn begin(manager: Manager, rights: Rights) -> Self {
        let wanted = manager == Manager::Apt && !Path::new(Self::POLICY).exists();
        let script = format!("printf '#!/bin/sh\\nexit 101\\n' > {0} && chmod 755 {0}", Self::POLICY);
        let written = wanted && shell(rights, &script);
        Self { rights, file: written.then_some(Self::POLICY) }
    }
}

impl Drop for QuietServices {
    fn drop(&mut self) {
        if let Some(file) = self.file {
            shell(self.rights, &format!("rm -f {file}"));
        }
    }
}

fn shell(rights: Rights, script: &str) -> bool {
    let mut command = match rights {
        Rights::Ours => Command::new("sh"),
        Rights::Sudo => {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "sh"]);
            sudo
        }
    };
    command.args(["-c", script]).status().is_ok_and(|status| status.success())
}

/// The program of this name, where a shell would find it or where system programs lie.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| is_program(file))
}

/// Whether the file is there and can be run.
pub(crate) fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manager_knows_a_package_for_every_need() {
        for (manager, _) in Manager::ALL {
            for need in [Need::Postgres, Need::Redis, Need::Make, Need::Python, Need::PythonVenv, Need::Node]
            {
                let package = manager.package(need);
                let commands = manager.commands(package);
                assert!(commands.last().unwrap().ends_with(package), "{commands:?}");
            }
        }
    }

    #[test]
    fn debian_is_asked_for_fresh_lists_and_without_questions() {
        let commands = Manager::Apt.commands("postgresql redis-server");
        assert_eq!(
            commands,
            ["apt-get update -q", "apt-get install -q -y --no-install-recommends postgresql redis-server"]
        );
    }

    #[test]
    fn a_program_is_found_where_a_shell_would_find_it() {
        assert!(on_path("sh").is_some());
        assert!(on_path("a-program-that-nobody-has").is_none());
    }
}

//! Shell completions: what `clap_complete` makes of a command line, and after it the words that only this machine knows: endpoints, hosts of
//! ssh, and the numbers of runs.
//!
//! The words come from one small script for all shells, one a line. Deliberately not here: which options there are.

use clap_complete::Shell;

/// Words that a command takes beside its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// None but files.
    Files,
    /// Endpoints.
    Endpoints,
    /// Endpoints, or a directory and a host.
    EndpointsAndHosts,
    /// Endpoints, or runs to bring back.
    EndpointsAndRuns,
}

/// No quote `'` and no doubled backslash is in these scripts, so that bash, zsh and fish quote them alike; and no letter that a
/// shell would expand is in what they print.
const ENDPOINTS: &str = r#"for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done"#;
const HOSTS: &str = r#"{ sed -n "s/^ *[Hh]ost[ =]\{1,\}//p" ~/.ssh/config | tr " " "\n"; cut -d " " -f 1 ~/.ssh/known_hosts | tr "," "\n"; } 2> /dev/null | grep -x "[A-Za-z0-9][A-Za-z0-9._-]*" | sort -u | sed "s/$/:/""#;
const RUNS: &str = r#"smd-undo 2> /dev/null | sed -n "s/^\([0-9]\{3,\}\)  .*/\1/p""#;

impl Words {
    fn scripts(self) -> &'static [&'static str] {
        match self {
            Self::Files => &[],
            Self::Endpoints => &[ENDPOINTS],
            Self::EndpointsAndHosts => &[ENDPOINTS, HOSTS],
            Self::EndpointsAndRuns => &[ENDPOINTS, RUNS],
        }
    }
}

/// The completions of one command for one shell.
pub(crate) fn text(shell: Shell, name: &str, command: &mut clap::Command, words: Words) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, command, name, &mut text);
    let text = String::from_utf8(text).expect("the definitions are UTF-8");
    let text = match shell {
        Shell::Bash => bash(&text, name, words),
        Shell::Zsh => zsh(&text, name, words),
        Shell::Fish => fish(&text, name, words),
        other => panic!("no completions for {other} are made here"),
    };
    text.into_bytes()
}

/// Replaces what must be there exactly once, or the generator has changed.
#[track_caller]
fn once(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?}");
    text.replacen(from, to, 1)
}

/// Endpoints as the value of `--remote`, where a command has it.
fn bash_remote(text: &str, script: &str) -> String {
    let mut text = text.to_owned();
    for option in ["--remote", "-r"] {
        let case = format!("                {option})\n                    COMPREPLY=(");
        if text.contains(&case) {
            let files = format!("{case}$(compgen -f \"${{cur}}\"))");
            text = once(&text, &files, &format!("{case}$(compgen -W \"$(sh -c '{script}')\" -- \"${{cur}}\"))"));
        }
    }
    text
}

/// Options only where one is begun: otherwise bash would insert the dash that all of them have in common.
fn bash(text: &str, name: &str, words: Words) -> String {
    let text = once(text, "if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then", "if [[ ${cur} == -* ]] ; then");
    let options =
        "COMPREPLY=( $(compgen -W \"${opts}\" -- \"${cur}\") )\n            return 0\n            ;;\n    esac\n}\n";
    if words == Words::Files {
        return once(&text, options, "return 0\n            ;;\n    esac\n}\n");
    }
    let function = format!("_{}_words", name.replace('-', "__"));
    let text =
        once(&text, options, &format!("{function} \"${{cur}}\"\n            return 0\n            ;;\n    esac\n}}\n"));
    let text = bash_remote(&text, ENDPOINTS);
    let script = words.scripts().join("; ");
    format!(
        "{function}() {{\n\
         \x20   # A path of another host follows a colon.\n\
         \x20   if [[ $1 == : || ${{COMP_WORDS[COMP_CWORD - 1]}} == : ]] ; then\n\
         \x20       return 0\n\
         \x20   fi\n\
         \x20   COMPREPLY=( $(compgen -W \"$(sh -c '{script}')\" -- \"$1\") )\n\
         \x20   if [[ ${{COMPREPLY[0]}} == *: ]] ; then\n\
         \x20       compopt -o nospace 2> /dev/null\n\
         \x20   fi\n\
         \x20   return 0\n\
         }}\n\n{text}"
    )
}

fn zsh(text: &str, name: &str, words: Words) -> String {
    if words == Words::Files {
        return text.to_owned();
    }
    let function = format!("_{name}_words");
    let positional = |line: &str| line.starts_with("'*::") || line.starts_with("'::endpoint ");
    let lines = text.lines().map(|line| match line.strip_suffix(":_default' \\").filter(|line| positional(line)) {
        Some(line) => format!("{line}:{function}' \\\n"),
        None => format!("{line}\n"),
    });
    let text: String = lines.collect();
    assert_eq!(text.matches(&format!(":{function}'")).count(), 1, "{name} takes no words");
    let arrays = words.scripts().iter().map(|script| {
        let (what, how) = match *script {
            HOSTS => ("host", " -S ''"),
            RUNS => ("run", ""),
            _ => ("endpoint", ""),
        };
        format!(
            "    found=(${{(f)\"$(sh -c '{script}')\"}})\n    _wanted {what}s expl '{what}' compadd{how} -a found && ret=0\n"
        )
    });
    let body: String = arrays.collect();
    // The value of `--remote` is one of the same words.
    let text = text.replace(":ENDPOINT:_default' \\\n", &format!(":ENDPOINT:{function}' \\\n"));
    let files = if words == Words::Endpoints { "" } else { "    _files -/ && ret=0\n" };
    let begins = "if [ \"$funcstack[1]\"";
    once(
        &text,
        begins,
        &format!(
            "(( $+functions[{function}] )) ||\n{function}() {{\n    local expl ret=1\n    local -a found\n{body}{files}    return ret\n}}\n\n{begins}"
        ),
    )
}

fn fish(text: &str, name: &str, words: Words) -> String {
    if words == Words::Files {
        return text.to_owned();
    }
    let function = format!("__{}_words", name.replace('-', "_"));
    let script = words.scripts().join("; ");
    let only = if words == Words::Endpoints { " -f" } else { "" };
    let remote = match text.contains(" -l remote ") {
        true => format!("complete -c {name} -s r -l remote -x -a '(sh -c \\'{ENDPOINTS}\\')'\n"),
        false => String::new(),
    };
    let text = format!("{text}{remote}");
    format!("{text}function {function}\n    sh -c '{script}'\nend\ncomplete -c {name}{only} -a '({function})'\n")
}

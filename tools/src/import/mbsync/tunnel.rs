//! The host that a `Tunnel` leads to, when it is a call of ssh.
//!
//! Deliberately not here: other programs, and lines for a shell.

/// Options of ssh that take a value.
const WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";
/// Those that take none.
const ALONE: &str = "46AaCfGgKkMNnqsTtVvXxYy";

/// The host of `ssh [options] host command`, and the words before it, which are to be `SSH` when there are options in it.
/// None when this is something else.
pub(super) fn parse(tunnel: &str) -> Option<(String, Vec<String>)> {
    let mut words = shlex::split(tunnel)?.into_iter().peekable();
    words.next_if(|word| word == "exec");
    let program = words.next().filter(|program| program.rsplit('/').next() == Some("ssh"))?;
    let (mut ssh, mut user) = (vec![program], None);
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        let letters = &option[1..];
        let at = letters.find(|letter| !ALONE.contains(letter));
        match at.map(|at| letters.split_at(at)) {
            None if letters.is_empty() => return None,
            None => ssh.push(option),
            Some((flags, rest)) => {
                let (letter, value) = rest.split_at(rest.chars().next()?.len_utf8());
                if !WITH_VALUE.contains(letter) {
                    return None;
                }
                let value = if value.is_empty() { words.next()? } else { value.to_owned() };
                if letter == "l" {
                    user = Some(value);
                    ssh.extend((!flags.is_empty()).then(|| format!("-{flags}")));
                } else {
                    ssh.extend([format!("-{flags}{letter}"), value]);
                }
            }
        }
    }
    let host = words.next().filter(|host| !host.contains(['|', ';', '&', '$', '`', '<', '>']))?;
    let host = match host.strip_prefix("ssh://") {
        None => host,
        Some(rest) => {
            let rest = rest.split('/').next().unwrap_or_default();
            let (name, port) = rest.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).unzip();
            ssh.extend(port.into_iter().flat_map(|port| ["-p".to_owned(), port.to_owned()]));
            name.unwrap_or(rest).to_owned()
        }
    };
    let host = match user {
        Some(user) if !host.contains('@') => format!("{user}@{host}"),
        _ => host,
    };
    let has_options = ssh.len() > 1;
    Some((host, if has_options { ssh } else { Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_by_ssh_tells_the_host_and_the_way() {
        let table = [
            ("ssh -q mail.example.org /usr/lib/dovecot/imap", Some(("mail.example.org", "ssh -q"))),
            ("ssh mail.example.org imapd", Some(("mail.example.org", ""))),
            ("/usr/bin/ssh -Cq me@mail imap", Some(("me@mail", "/usr/bin/ssh -Cq"))),
            ("ssh -q -p 2222 me@mail imap", Some(("me@mail", "ssh -q -p 2222"))),
            ("ssh -qp2222 -i '/home/me/a b' mail", Some(("mail", "ssh -qp 2222 -i /home/me/a b"))),
            ("ssh -l me -o Compression=yes mail", Some(("me@mail", "ssh -o Compression=yes"))),
            ("exec ssh -J jump ssh://me@mail:2222/ imap", Some(("me@mail", "ssh -J jump -p 2222"))),
            ("ssh --what mail imap", None),
            ("ssh -p", None),
            ("ssh $HOST imap", None),
            ("ssh 'mail", None),
            ("socat - tcp:mail:143", None),
            ("", None),
        ];
        for (tunnel, expected) in table {
            let parsed = parse(tunnel);
            let parsed = parsed.as_ref().map(|(host, ssh)| (&host[..], ssh.join(" ")));
            assert_eq!(parsed, expected.map(|(host, ssh)| (host, ssh.to_owned())), "{tunnel}");
        }
    }
}

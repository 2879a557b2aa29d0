//! What a person types.

use subrosa::{Identifier, InboxId};

/// The commands, for `/help`.
pub(super) const HELP: &str = "\
  text                 say it in the open conversation
  /list                the conversations
  /open NUMBER         open one of them (or its id)
  /dm WHO              talk to one inbox
  /new NAME WHO...     make a group; a name of several words goes in quotes
  /add WHO...          add inboxes to the open group
  /remove WHO...       remove them
  /members             who is in it
  /name NAME           rename it
  /me                  who you are
  /quit                leave (or Ctrl-D)
WHO is an address (0x and 40 hex digits) or an inbox id (64 hex digits).
A line that starts with two slashes is text that starts with one.";

/// One line, understood.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Command {
    Nothing,
    Say(String),
    Help,
    List,
    Open(String),
    Dm(Who),
    New { name: String, who: Vec<Who> },
    Add(Vec<Who>),
    Remove(Vec<Who>),
    Members,
    Name(String),
    Me,
    Quit,
}

/// Somebody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    Inbox(InboxId),
    Identifier(Identifier),
}

/// Why a line is no command.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unclear {
    #[error("there is no such command; /help lists them")]
    Unknown,
    #[error("something is missing; /help shows what")]
    Missing,
    #[error("neither an address (0x and 40 hex digits) nor an inbox id (64 hex digits)")]
    Who,
    #[error("a quote is not closed")]
    Quote,
}

impl std::str::FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_who(text).map_err(|error| error.to_string())
    }
}

fn parse_who(text: &str) -> Result<Who, Unclear> {
    if let Ok(inbox) = text.to_lowercase().parse() {
        return Ok(Who::Inbox(inbox));
    }
    // Without its prefix an address names nobody on the network.
    let prefixed = text.starts_with("0x");
    Identifier::parse_ethereum(text).ok().filter(|_| prefixed).map(Who::Identifier).ok_or(Unclear::Who)
}

impl Command {
    /// Reads a line.
    pub(super) fn parse(line: &str) -> Result<Self, Unclear> {
        let line = line.trim();
        let Some(rest) = line.strip_prefix('/') else {
            return Ok(if line.is_empty() { Self::Nothing } else { Self::Say(line.to_owned()) });
        };
        if rest.starts_with('/') {
            return Ok(Self::Say(rest.to_owned()));
        }
        let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let rest = rest.trim();
        Ok(match name {
            "help" | "h" | "?" => Self::Help,
            "list" | "l" => Self::List,
            "open" | "o" => Self::Open(some(rest)?.to_owned()),
            "dm" => Self::Dm(parse_who(some(rest)?)?),
            "new" => {
                let (name, rest) = quoted(some(rest)?)?;
                Self::New { name, who: all(rest)? }
            }
            "add" => Self::Add(all(some(rest)?)?),
            "remove" => Self::Remove(all(some(rest)?)?),
            "members" | "m" => Self::Members,
            "name" => Self::Name(some(rest)?.trim_matches('"').to_owned()),
            "me" => Self::Me,
            "quit" | "q" | "exit" => Self::Quit,
            _ => return Err(Unclear::Unknown),
        })
    }
}

const fn some(text: &str) -> Result<&str, Unclear> {
    if text.is_empty() { Err(Unclear::Missing) } else { Ok(text) }
}

fn all(text: &str) -> Result<Vec<Who>, Unclear> {
    text.split_whitespace().map(parse_who).collect()
}

/// The first word, or what stands in quotes, and the rest.
fn quoted(text: &str) -> Result<(String, &str), Unclear> {
    let (word, rest) = match text.strip_prefix('"') {
        Some(text) => text.split_once('"').ok_or(Unclear::Quote)?,
        None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
    };
    Ok((word.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_text_or_commands() {
        let address = format!("0x{}", "aB".repeat(20));
        let inbox = "cd".repeat(32);
        let who = Who::Identifier(Identifier::Ethereum(address.to_lowercase()));
        let other = Who::Inbox(inbox.parse().unwrap());
        let check = |line: &str, want| assert_eq!(Command::parse(line), want, "{line}");
        check("  ", Ok(Command::Nothing));
        check("hello /all ", Ok(Command::Say("hello /all".into())));
        check("//help", Ok(Command::Say("/help".into())));
        check("/help", Ok(Command::Help));
        check(&format!("/dm {address}"), Ok(Command::Dm(who.clone())));
        check(
            &format!("/new \"a b\" {address} {inbox}"),
            Ok(Command::New { name: "a b".into(), who: vec![who, other.clone()] }),
        );
        check("/new garden", Ok(Command::New { name: "garden".into(), who: vec![] }));
        check(&format!("/add {inbox}"), Ok(Command::Add(vec![other])));
        check("/name a b", Ok(Command::Name("a b".into())));
        check("/dm", Err(Unclear::Missing));
        check("/dm alice", Err(Unclear::Who));
        check("/dm aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Err(Unclear::Who));
        check("/new \"a", Err(Unclear::Quote));
        check("/dance", Err(Unclear::Unknown));
    }
}

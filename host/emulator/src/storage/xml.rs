//! The XML of Blob: responses, and the body of Put Block List.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Writes a document.
#[derive(Debug)]
pub(super) struct XmlWriter(String);

impl XmlWriter {
    pub(super) fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"utf-8\"?>".to_owned())
    }

    pub(super) fn open(&mut self, name: &str) -> &mut Self {
        self.open_with(name, &[])
    }

    pub(super) fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) -> &mut Self {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push_str(&format!(" {name}=\"{}\"", escaped(value)));
        }
        self.0.push('>');
        self
    }

    pub(super) fn close(&mut self, name: &str) -> &mut Self {
        self.0.push_str(&format!("</{name}>"));
        self
    }

    /// Writes an element with text.
    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.0.push_str(&format!("<{name}>{}</{name}>", escaped(text)));
        self
    }

    pub(super) fn finish(&self) -> String {
        self.0.clone()
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 cannot represent these.
            c if c.is_control() && !matches!(c, '\n' | '\r' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Which block of an id Put Block List means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockState {
    Committed,
    Uncommitted,
    Latest,
}

/// Parses the body of Put Block List; `None` if it is invalid.
pub(super) fn parse_block_list(text: &[u8]) -> Option<Vec<(BlockState, String)>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut blocks, mut open, mut id, mut depth) = (Vec::new(), None, String::new(), 0);
    let mut lists = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                depth += 1;
                open = match (depth, element.name().as_ref()) {
                    (1, "BlockList") => {
                        lists += 1;
                        None
                    }
                    (2, "Committed") => Some(BlockState::Committed),
                    (2, "Uncommitted") => Some(BlockState::Uncommitted),
                    (2, "Latest") => Some(BlockState::Latest),
                    _ => return None,
                };
                id.clear();
            }
            Event::Empty(element) if depth == 0 && element.name().as_ref() == "BlockList" => {
                lists += 1;
            }
            Event::Empty(_) | Event::DocType(_) | Event::GeneralRef(_) => return None,
            Event::Text(text) => id.push_str(&text),
            Event::End(_) => {
                depth -= 1;
                if let Some(state) = open.take() {
                    blocks.push((state, id.trim().to_owned()));
                }
            }
            Event::Eof => return (depth == 0 && lists == 1).then_some(blocks),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_block_list_is_parsed() {
        let list = "\u{feff}<?xml version=\"1.0\"?>\n<BlockList>\n <Latest>QQ==</Latest>\
                    <Committed> Qg== </Committed></BlockList>";
        let expected = vec![
            (BlockState::Latest, "QQ==".to_owned()),
            (BlockState::Committed, "Qg==".to_owned()),
        ];
        assert_eq!(parse_block_list(list.as_bytes()).unwrap(), expected);
        assert_eq!(parse_block_list(b"<BlockList/>").unwrap(), []);
        for bad in [
            "",
            "<BlockList>",
            "<Blocks></Blocks>",
            "<BlockList><X>a</X></BlockList>",
            "{}",
            "<BlockList><Latest>&a;</Latest></BlockList>",
        ] {
            assert_eq!(parse_block_list(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn text_is_escaped() {
        assert!(
            XmlWriter::new()
                .text("Name", "<a & \"b\">\u{1}")
                .finish()
                .ends_with("<Name>&lt;a &amp; &quot;b&quot;&gt;\u{fffd}</Name>")
        );
    }
}

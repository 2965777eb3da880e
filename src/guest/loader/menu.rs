//! Which entry of a menu is booted when nobody is at the console.

/// A menu as it is shown, with entries as indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Menu {
    pub items: Vec<Item>,
}

/// One line of a menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub title: Vec<u8>,
    pub id: Option<Vec<u8>>,
    pub what: What,
}

/// What a line of a menu leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Entry(usize),
    Submenu(Menu),
}

impl Menu {
    /// The entry that the variable `default` means.
    ///
    /// A title, an identifier or a number counted from 0, and behind a `>` the same for a submenu; `>>` is a `>` of a
    /// title. What names nothing means the first. (grub-core/normal/menu.c: get_entry_number(), menuentry_eq().)
    pub fn choose(&self, wanted: Option<&[u8]>) -> Option<usize> {
        let (own, rest) = wanted.map(split).unwrap_or_default();
        let named =
            self.items.iter().position(|item| item.title == own || item.id.as_ref() == Some(&own));
        let at = named.or_else(|| number(&own)).filter(|at| *at < self.items.len()).unwrap_or(0);
        match &self.items.get(at)?.what {
            What::Entry(entry) => Some(*entry),
            What::Submenu(menu) => menu.choose(rest.as_deref()),
        }
    }
}

/// The part for this menu, and that for a submenu.
fn split(wanted: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut own = Vec::new();
    let mut at = 0;
    while let Some(&byte) = wanted.get(at) {
        if byte == b'>' {
            if wanted.get(at + 1) != Some(&b'>') {
                return (own, Some(wanted[at + 1..].to_vec()));
            }
            at += 1;
        }
        own.push(byte);
        at += 1;
    }
    (own, None)
}

/// The number that a text begins with: GRUB stops reading at the first other character.
fn number(text: &[u8]) -> Option<usize> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(title: &str, id: &str, what: What) -> Item {
        Item { title: title.into(), id: Some(id.into()), what }
    }

    fn menu() -> Menu {
        let inner = Menu {
            items: vec![
                item("Linux 2", "linux-2", What::Entry(1)),
                item("Linux > 1", "linux-1", What::Entry(2)),
            ],
        };
        Menu {
            items: vec![
                item("Linux", "simple", What::Entry(0)),
                item("More", "advanced", What::Submenu(inner)),
                item("26b5-5.14", "26b5198f-5.14", What::Entry(3)),
            ],
        }
    }

    #[test]
    fn as_grub_finds_it() {
        for (wanted, entry) in [
            ("0", 0),
            ("2", 3),
            ("Linux", 0),
            ("simple", 0),
            ("advanced>linux-1", 2),
            ("1>1", 2),
            ("More>Linux >> 1", 2),
            ("1", 1),
            ("advanced>gone", 1),
            ("26b5198f-5.14", 3),
            ("9", 0),
            ("gone", 0),
            ("", 0),
        ] {
            assert_eq!(menu().choose(Some(wanted.as_bytes())), Some(entry), "{wanted}");
        }
        assert_eq!(menu().choose(None), Some(0));
        assert_eq!(Menu::default().choose(Some(b"0")), None);
    }
}

use super::*;
use proptest::prelude::*;

#[test]
fn values() {
    for (text, want) in [
        ("A=b", "b"),
        (" \texport A=b", "b"),
        ("A=", ""),
        ("A=b # c", "b"),
        ("A=b#c", "b#c"),
        ("A=\"b c\" # d", "b c"),
        ("A='b\"c'\"d'e\"f\\ g", "b\"cd'ef g"),
        ("A=\"b\\\"c\\$d\\e\"", "b\"c$d\\e"),
        ("A=b\\\nc", "bc"),
        ("A=\"b\nc\"", "b\nc"),
        ("A=a\nA=b", "b"),
        ("B=1; A=b", "b"),
        ("B=1 A=b", "b"),
        ("A=b\n# A=c\n#A=d", "b"),
    ] {
        for end in ["", "\n", "\nZ=1\n"] {
            let file = KeyValue::parse(format!("{text}{end}").as_bytes());
            let got = file.get("A").map(|value| String::from_utf8_lossy(value).into_owned());
            assert_eq!(got.as_deref(), Some(want), "{text:?}");
            assert_eq!(file.errors(), [], "{text:?}");
        }
    }
}

#[test]
fn expansions_are_marked() {
    for (text, want) in [
        ("A=$B", true),
        ("A=\"x${B}\"", true),
        ("A=`b`", true),
        ("A=~", true),
        ("A='$B'", false),
        ("A=\\$B", false),
    ] {
        assert_eq!(KeyValue::parse(text.as_bytes()).last("A").unwrap().expands, want, "{text}");
    }
}

#[test]
fn errors_name_their_line() {
    for (text, reason) in [
        ("A = b", "not an assignment"),
        ("1A=b", "not an assignment"),
        ("echo", "not an assignment"),
        ("A=b c", "there is text after the value; a shell runs it"),
        ("A=b&c", "there is text after the value; a shell runs it"),
        ("A=\"b", "the quote is not closed"),
        ("A=b\r", "a carriage return ends the line; a shell takes it for part of the value"),
    ] {
        let file = KeyValue::parse(format!("\nX=1\n{text}\nB=2\n").as_bytes());
        assert_eq!(file.errors(), [LineError { line: 3, reason }], "{text:?}");
        assert_eq!(file.get("B"), Some(&b"2"[..]), "{text:?}");
    }
    assert_eq!(KeyValue::parse(b"A=b\r\n").get("A"), Some(&b"b"[..]));
    assert_eq!(KeyValue::parse(b"\r\n# c\r\n").errors(), []);
}

#[test]
fn edits_change_one_value() {
    let file =
        KeyValue::parse(b"# SELINUX=enforcing\n SELINUX=enforcing   # c\nGRUB=\"a b\"\r\nX='y'");
    let edit =
        |key, value: &str| String::from_utf8(file.with_value(key, value.as_bytes())).unwrap();
    assert_eq!(
        edit("SELINUX", "disabled"),
        "# SELINUX=enforcing\n SELINUX=disabled   # c\nGRUB=\"a b\"\r\nX='y'"
    );
    assert_eq!(
        edit("GRUB", "a$"),
        "# SELINUX=enforcing\n SELINUX=enforcing   # c\nGRUB=\"a\\$\"\r\nX='y'"
    );
    assert_eq!(
        edit("X", "z z"),
        "# SELINUX=enforcing\n SELINUX=enforcing   # c\nGRUB=\"a b\"\r\nX=\"z z\""
    );
    assert_eq!(
        edit("NEW", "1"),
        "# SELINUX=enforcing\n SELINUX=enforcing   # c\nGRUB=\"a b\"\r\nX='y'\nNEW=1\n"
    );
    assert_eq!(KeyValue::parse(b"").with_value("A", b""), b"A=\n");
    assert_eq!(KeyValue::parse(b"B=\\").with_value("A", b""), b"B=\\\n\nA=\n");
    assert_eq!(KeyValue::parse(b"B=\\\n").with_value("A", b""), b"B=\\\n\nA=\n");
}

fn shell_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![any::<Vec<u8>>(), "[A-C=\"'\\\\\n\r #;$ ]{0,60}".prop_map(String::into_bytes)]
}

proptest! {
    #[test]
    fn print_undoes_parse(text in shell_bytes()) {
        let file = KeyValue::parse(&text);
        prop_assert_eq!(file.print(), text);
        let mut end = 0;
        for assignment in file.assignments() {
            prop_assert!(assignment.span.start >= end && assignment.span.end >= assignment.span.start);
            end = assignment.span.end;
        }
    }

    #[test]
    fn an_edited_value_is_read_back(text in shell_bytes(), value: Vec<u8>) {
        // A backslash that ends the file is a value; with anything behind it it is an escape.
        let text = text.strip_suffix(b"\\").map_or(text.clone(), |text| [text, b"\n"].concat());
        let file = KeyValue::parse(&text);
        let value: Vec<u8> = value.into_iter().filter(|&b| b != 0).collect();
        let edited = KeyValue::parse(&file.with_value("A", &value));
        // A quote that is not closed may pair with one of the new value, as it would in a shell.
        if file.errors().iter().all(|error| error.reason != "the quote is not closed") {
            prop_assert_eq!(edited.get("A"), Some(value.as_slice()));
            let others = |file: &KeyValue| -> Vec<_> {
                let last = file.last("A").map(|a| a.span.start);
                file.assignments().iter().filter(|a| Some(a.span.start) != last).map(|a| (a.key.clone(), a.value.clone())).collect()
            };
            prop_assert_eq!(others(&edited), others(&file));
        }
    }
}

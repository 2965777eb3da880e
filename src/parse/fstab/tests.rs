use super::*;
use proptest::prelude::*;

fn only(text: &[u8]) -> (Line, Entry) {
    let fstab = Fstab::parse(text);
    assert_eq!(fstab.lines().len(), 1);
    let line = fstab.lines()[0].clone();
    match line.content.clone() {
        Content::Entry(entry) => (line, entry),
        other => panic!("{other:?}"),
    }
}

fn problems(text: &[u8]) -> Vec<Problem> {
    let fstab = Fstab::parse(text);
    match &fstab.lines()[0].content {
        Content::Entry(entry) => entry.problems.clone(),
        Content::Garbage(problems) => problems.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_ordinary_line() {
    let (line, entry) = only(b"UUID=1234\t/mnt/my\\040disk  ext4 defaults,nofail 0 2\n");
    assert_eq!(entry.source.value, b"UUID=1234");
    assert_eq!(entry.target.value, b"/mnt/my disk");
    assert_eq!(entry.target.raw(&line.raw), b"/mnt/my\\040disk");
    assert_eq!(entry.fstype.value, b"ext4");
    assert_eq!(entry.options.as_ref().unwrap().value, b"defaults,nofail");
    assert_eq!((entry.freq.unwrap().value, entry.passno.unwrap().value), (0, 2));
    assert_eq!(entry.problems, []);
}

#[test]
fn lines_of_each_kind() {
    let fstab = Fstab::parse(b"# c\n\n \t\n  # d\n/dev/vdb1\n/dev/vdb1 /data ext4\n\r\n");
    let kinds: Vec<_> = fstab
        .lines()
        .iter()
        .map(|line| match line.content {
            Content::Blank => "blank",
            Content::Comment => "comment",
            Content::Entry(_) => "entry",
            Content::Garbage(_) => "garbage",
        })
        .collect();
    assert_eq!(kinds, ["comment", "blank", "blank", "comment", "garbage", "entry", "blank"]);
    assert_eq!(fstab.entries().map(|entry| entry.line).collect::<Vec<_>>(), [6]);
}

#[test]
fn each_problem_is_found() {
    use Problem::*;
    let long = [b"/dev/a /m ext4 ".as_slice(), &[b'o'; 4090]].concat();
    for (text, want) in [
        (&b"/dev/a"[..], &[MissingTarget][..]),
        (b"/dev/a /m", &[MissingFstype]),
        (b"/dev/a /m ext4", &[MissingOptions]),
        (b"/dev/a /m ext4 rw x 1", &[FreqNotNumber]),
        (b"/dev/a /m ext4 rw 0 1#c", &[PassnoNotNumber]),
        (b"/dev/a /m ext4 rw 0 99999999999", &[NumberOutOfRange]),
        (b"/dev/a /m ext4 rw 0 99999999999999999999", &[NumberOutOfRange]),
        (b"/dev/a /m ext4 rw 99999999999999999999 0", &[FreqNotNumber]),
        (b"/dev/a /m ext4 rw 0 1 2", &[TooManyFields]),
        (b"/dev/a /m ext4 rw 0 1 # data", &[TrailingComment]),
        (b"/dev/a /m ext4 # data", &[FreqNotNumber, HashInField]),
        (b"/dev/a /m\\x ext4 rw", &[BadEscape]),
        (b"/dev/a /m\\\\ ext4 rw", &[BadEscape, EscapesDiffer]),
        (b"/dev/a /m\\043 ext4 rw", &[EscapesDiffer]),
        (b"/dev/a /m ext4 rw\r\n", &[CarriageReturn]),
        (b"/dev/a /m ext4 rw\r", &[CarriageReturn]),
        (b"/dev/a /m\0 ext4 rw", &[Nul]),
        (b"/dev/a /m\\000x ext4 rw", &[EscapesDiffer]),
        (b"/dev/a /m\xff ext4 rw", &[NotUtf8]),
        (&long, &[TooLong]),
        (b"/dev/a#1 /m#x ext4 rw#x 0 0", &[]),
    ] {
        assert_eq!(problems(text), want, "{}", text.escape_ascii());
    }
}

#[test]
fn getmntent_reads_on_where_libmount_refuses() {
    let (line, entry) = only(b"/dev/a /m\n");
    assert!(entry.refused_by_libmount());
    let mntent = line.getmntent().unwrap();
    assert_eq!((mntent.dir.as_slice(), mntent.fstype.as_slice()), (&b"/m"[..], &b""[..]));

    let (line, entry) = only(b"/dev/a /m ext4 rw 1x 2\r\n");
    assert!(entry.refused_by_libmount());
    let mntent = line.getmntent().unwrap();
    assert_eq!((mntent.freq, mntent.passno), (1, 0));

    let (line, _) = only(b"/dev/a /m ext4 rw\r\n");
    assert_eq!(line.getmntent().unwrap().opts, b"rw\r");
}

#[test]
fn getmntent_looks_beyond_its_line() {
    let numbers = |text: &[u8]| -> Vec<_> {
        Fstab::parse(text)
            .getmntent()
            .into_iter()
            .map(|(line, m)| (line, m.freq, m.passno))
            .collect()
    };
    assert_eq!(numbers(b"/a /a x y 1 2\n/b /b x y \n/c /c x y"), [(1, 1, 2), (2, 0, 0), (3, 0, 0)]);
    assert_eq!(
        numbers(b"/a /a x y 1 2\n/b /b x y \r\n/c /c x y "),
        [(1, 1, 2), (2, 1, 2), (3, 1, 2)]
    );
    assert_eq!(numbers(b"/a\0 /a x y 1 2\n/b /b x y\n/c /c x y"), [(1, 0, 0), (3, 0, 0)]);
}

#[test]
fn edits_change_one_field() {
    let text = b"  /dev/vdb1\t/data   ext4  defaults  0 2  # disk";
    let (line, entry) = only(text);
    assert_eq!(
        with_source(&line.raw, &entry, b"LABEL=my disk"),
        b"  LABEL=my\\040disk\t/data   ext4  defaults  0 2  # disk"
    );
    assert_eq!(
        with_options(&line.raw, &entry, b"defaults,nofail"),
        b"  /dev/vdb1\t/data   ext4  defaults,nofail  0 2  # disk"
    );
    let (line, entry) = only(b"/dev/vdb1 /data ext4 ");
    assert_eq!(with_options(&line.raw, &entry, b"nofail"), b"/dev/vdb1 /data ext4 nofail ");
    let (line, entry) = only(b"/dev/vdb1 /data\r\n");
    assert_eq!(with_options(&line.raw, &entry, b"nofail"), b"/dev/vdb1 /data auto nofail");
}

/// Bytes that make fstab-like text likely.
fn fstab_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => prop::sample::select(b" \t\n\r#\\0123457,=\"/ab".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..120)
}

proptest! {
    #[test]
    fn print_undoes_parse(text in prop_oneof![fstab_bytes(), any::<Vec<u8>>()]) {
        let fstab = Fstab::parse(&text);
        prop_assert_eq!(fstab.print(), text);
        fstab.getmntent();
    }

    #[test]
    fn an_edited_line_differs_in_its_field_alone(text in fstab_bytes(), value in any::<Vec<u8>>()) {
        let fstab = Fstab::parse(&text);
        for entry in fstab.entries() {
            let line = fstab.line_of(entry).unwrap();
            let value: Vec<u8> = value.iter().copied().filter(|&b| b != 0).collect();
            let edited = with_options(&line.raw, entry, &value);
            let (again_line, again) = only(&[&edited, line.ending.as_bytes()].concat());
            let want = if value.is_empty() { b"defaults".to_vec() } else { value.clone() };
            prop_assert_eq!(&again.options.as_ref().unwrap().value, &want);
            prop_assert_eq!(&again.source, &entry.source);
            prop_assert_eq!(&again.target, &entry.target);
            prop_assert_eq!(again.freq.map(|n| n.value), entry.freq.as_ref().map(|n| n.value));
            prop_assert_eq!(again.passno.map(|n| n.value), entry.passno.as_ref().map(|n| n.value));
            if let Some(old) = &entry.options {
                let new = again.options.as_ref().unwrap();
                prop_assert_eq!(&again_line.raw[..new.span.start], &line.raw[..old.span.start]);
                prop_assert_eq!(&again_line.raw[new.span.end..], &line.raw[old.span.end..]);
            }

            let edited = with_source(&line.raw, entry, &value);
            let (_, again) = only(&[&edited, line.ending.as_bytes()].concat());
            let want = if value.is_empty() { b"none".to_vec() } else { value };
            prop_assert_eq!(&again.source.value, &want);
            prop_assert_eq!(&again.target.value, &entry.target.value);
            prop_assert_eq!(again.options.map(|f| f.value), entry.options.as_ref().map(|f| f.value.clone()));
        }
    }

    #[test]
    fn an_edit_with_a_foreign_entry_does_not_panic(a in fstab_bytes(), b in any::<Vec<u8>>()) {
        for entry in Fstab::parse(&a).entries() {
            with_options(&b, entry, b"x");
            with_source(&b, entry, b"x");
            entry.target.raw(&b);
        }
    }
}

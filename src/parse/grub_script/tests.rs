use super::*;
use proptest::prelude::*;

fn text(word: &Word) -> String {
    word.pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Piece::Variable { name, is_quoted } => {
                let name = String::from_utf8_lossy(name);
                if *is_quoted { format!("<\"{name}\">") } else { format!("<{name}>") }
            }
        })
        .collect()
}

fn shown(statements: &[Statement]) -> String {
    let parts: Vec<String> = statements
        .iter()
        .map(|statement| match statement {
            Statement::Command(command) => {
                let words: Vec<String> = command.words.iter().map(text).collect();
                let block = command
                    .block
                    .as_ref()
                    .map(|b| format!(" {{{}}}", shown(b)))
                    .unwrap_or_default();
                format!("{}:{}{block}", command.line, words.join("|"))
            }
            Statement::If { branches, otherwise } => {
                let branches: Vec<String> = branches
                    .iter()
                    .map(|(c, b)| format!("({})=>({})", shown(c), shown(b)))
                    .collect();
                format!("if {} else ({})", branches.join(" "), shown(otherwise))
            }
            Statement::Loop { body, .. } => format!("loop ({})", shown(body)),
            Statement::Function { name, body } => {
                format!("function {} ({})", String::from_utf8_lossy(name), shown(body))
            }
        })
        .collect();
    parts.join("; ")
}

fn parsed(script: &str) -> String {
    match parse(script.as_bytes()) {
        Ok(statements) => shown(&statements),
        Err(error) => format!("error {error}"),
    }
}

#[test]
fn words_quotes_and_variables() {
    assert_eq!(
        parsed("set a=\"x ${y} \\$z\" # note\nb 'c d'e\\ f $g\"$h\" a#b"),
        "1:set|a=x <\"y\"> $z; 2:b|c de f|<g><\"h\">|a#b"
    );
    assert_eq!(parsed("a \\\n b;c\n\n$? $1x $"), "1:a|b; 2:c; 4:<?>|<1>x|$");
    assert_eq!(parsed("a ''"), "1:a|");
}

#[test]
fn blocks_conditions_loops_and_functions() {
    assert_eq!(
        parsed(
            "menuentry 'A (1)' --class x $id 'b' {\n linux /v ro\n}\nsubmenu 'S' {\n menuentry M { initrd /i }\n}\n"
        ),
        "1:menuentry|A (1)|--class|x|<id>|b {2:linux|/v|ro}; 4:submenu|S {5:menuentry|M {5:initrd|/i}}"
    );
    assert_eq!(
        parsed("if [ -s $prefix/grubenv ]; then\n load_env\nelif [ a ] ; then b; else c\nfi"),
        "if (1:[|-s|<prefix>/grubenv|])=>(2:load_env) (3:[|a|])=>(3:b) else (3:c)"
    );
    assert_eq!(
        parsed("for i in a b; do\n x $i\ndone\nwhile y; do z; done"),
        "loop (2:x|<i>); loop (4:z)"
    );
    assert_eq!(parsed("function f {\n a\n}\nf"), "function f (2:a); 4:f");
    // A word of the language is one only where a command would stand.
    assert_eq!(parsed("echo if fi 'then'\n\"if\" x"), "1:echo|if|fi|then; 2:if|x");
}

#[test]
fn what_is_no_script_is_an_error_with_its_line() {
    assert_eq!(parsed("a\nmenuentry x {\n b\n"), "error line 2: the block is not closed");
    assert_eq!(parsed("a 'b\n"), "error line 1: the quote is not closed");
    assert_eq!(parsed("if a; then b\n"), "error line 2: an if has no fi");
    assert_eq!(parsed("a\n}\n"), "error line 2: this closes nothing that is open");
    assert_eq!(parsed("menuentry x {\n\n}\n"), "error line 3: a command was expected");
    assert_eq!(parsed("a\nfi\n"), "error line 2: this closes nothing that is open");
    assert_eq!(parsed("a | b"), "error line 1: GRUB has no pipes and redirections");
    assert!(parsed(&"menuentry x { ".repeat(100)).contains("too many blocks"));
}

proptest! {
    #[test]
    fn any_bytes(script in prop_oneof![
        any::<Vec<u8>>(),
        "((if|then|fi|elif|else|do|done|for|while|function|menuentry|x|[{};$'\"\\\\\n#]|\\$a|[a-z]) ?){0,24}".prop_map(String::into_bytes),
    ]) {
        if let Ok(statements) = parse(&script) {
            check(&statements, &script)?;
        }
    }

    #[test]
    fn a_quoted_word_is_read_as_it_was(word in "[ -~\n]{0,12}") {
        let script = [b"x ".as_slice(), &quote(&word)].concat();
        let statements = parse(&script).unwrap();
        let Statement::Command(command) = &statements[0] else { panic!() };
        prop_assert_eq!(command.words.len(), 2);
        prop_assert_eq!(command.words[1].literal(), Some(word.into_bytes()));
        prop_assert_eq!(command.words[1].span.end, script.len());
    }
}

/// Words stand in the text in order, each where it says.
fn check(statements: &[Statement], script: &[u8]) -> Result<(), TestCaseError> {
    let lines = script.split(|b| *b == b'\n').count();
    for statement in statements {
        match statement {
            Statement::Command(command) => {
                prop_assert!((1..=lines).contains(&command.line));
                prop_assert!(!command.words.is_empty());
                let mut last = 0;
                for word in &command.words {
                    prop_assert!(
                        word.span.start >= last
                            && !word.span.is_empty()
                            && word.span.end <= script.len()
                    );
                    last = word.span.end;
                }
                check(command.block.as_deref().unwrap_or_default(), script)?;
            }
            Statement::If { branches, otherwise } => {
                for (condition, body) in branches {
                    check(condition, script)?;
                    check(body, script)?;
                }
                check(otherwise, script)?;
            }
            Statement::Loop { body, .. } | Statement::Function { body, .. } => check(body, script)?,
        }
    }
    Ok(())
}

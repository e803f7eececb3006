use super::*;

fn texts(grammar: &Grammar, count: usize) -> Vec<String> {
    let mut random = SchemaMaker::new(count as u64);
    (0..count).map(|_| walk(grammar, &mut random)).collect()
}

#[test]
fn a_regular_expression_matches_the_whole_text() {
    for text in texts(&Grammar::Regex(r"^[a-c]{2,4}-\d+(/[x-z])?$".to_owned()), 40) {
        let (letters, rest) = text.split_once('-').unwrap();
        let (digits, letter) = rest.split_once('/').unwrap_or((rest, "x"));
        assert!((2..=4).contains(&letters.len()), "{text}");
        assert!(
            letters.bytes().all(|byte| (b'a'..=b'c').contains(&byte)),
            "{text}"
        );
        assert!(
            !digits.is_empty() && digits.chars().all(char::is_numeric),
            "{text}"
        );
        assert!(["x", "y", "z"].contains(&letter), "{text}");
    }
}

#[test]
fn characters_of_the_grammar_language_mean_themselves_in_an_expression() {
    for (expression, expected) in [
        ("a/b", "a/b"),
        ("a\nb\tc", "a\nb\tc"),
        (r"\$\^\\", r"$^\"),
        (r"cost\$", "cost$"),
        ("[/]\"x\" # y", "/\"x\" # y"),
        ("日本|日本", "日本"),
    ] {
        let grammar = Grammar::Regex(expression.to_owned());
        assert_eq!(texts(&grammar, 1), [expected], "{expression}");
    }
}

/// Choices that begin like others, and that look like the grammar's own language.
#[test]
fn each_choice_can_be_chosen_and_nothing_else() {
    let choices = [
        "yes",
        "yes, but",
        "no",
        "\"quoted\"",
        "a\\b",
        "\\x41",
        "/a/",
        "line\nbreak",
        "日本",
        " ",
        "|",
        "start: x",
        "\u{1}\u{7f}",
        "<|im_end|>",
    ];
    let grammar = Grammar::Choice(choices.map(str::to_owned).to_vec());
    let texts = texts(&grammar, 600);
    for choice in choices {
        assert!(
            texts.iter().any(|text| text == choice),
            "{choice:?} never came"
        );
    }
    for text in texts {
        assert!(choices.contains(&text.as_str()), "{text:?}");
    }
}

#[test]
fn a_context_free_grammar_nests() {
    let grammar = Grammar::Lark(
        "start: list\nlist: \"(\" [item (\" \" item)*] \")\"\nitem: list | /[a-z]/\n".to_owned(),
    );
    for text in texts(&grammar, 20) {
        let mut depth = 0;
        for (place, character) in text.chars().enumerate() {
            assert!(place == 0 || depth > 0, "{text}");
            depth += match character {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
        }
        assert_eq!(depth, 0, "{text}");
    }
}

#[test]
fn the_end_is_possible_exactly_where_the_text_may_end() {
    let grammar = Grammar::Regex("ab?".to_owned());
    let mut guide = factory().compile(&grammar).unwrap();
    let tokens = |guide: &mut Guide| guide.mask().unwrap().tokens().collect::<Vec<_>>();
    let end = tokenizer().len() as u32 - 1;
    assert_eq!(tokens(&mut guide), [u32::from(b'a')]);
    assert!(!guide.is_accepting() && !guide.is_finished());
    guide.accept(u32::from(b'a')).unwrap();
    assert_eq!(tokens(&mut guide), [u32::from(b'b'), end]);
    assert!(guide.is_accepting() && !guide.is_finished());
    guide.accept(u32::from(b'b')).unwrap();
    assert_eq!(tokens(&mut guide), [end]);
    assert!(guide.is_accepting() && guide.is_finished());
    guide.accept(end).unwrap();
    assert!(guide.is_finished());
}

#[test]
fn text_may_go_over_into_tagged_values_and_marks_are_never_text() {
    let tagged = Grammar::Tagged(crate::Tagged {
        open: "<call>".to_owned(),
        close: "</call>".to_owned(),
        schema: serde_json::json!({"type": "object", "properties": {"n": {"enum": [1, 2]}},
            "required": ["n"], "additionalProperties": false}),
        many: true,
    });
    let takes = |text: &str| {
        let mut guide = factory().compile(&tagged).unwrap();
        for token in tokenizer()
            .encode(text, crate::tokenizer::ControlTokens::Plain)
            .unwrap()
        {
            if !guide.mask().unwrap().tokens().any(|one| one == token) {
                return None;
            }
            guide.accept(token).unwrap();
        }
        Some(guide.is_accepting())
    };
    let call = "<call>\n{\"n\": 1}\n</call>";
    assert_eq!(takes("just <b>text</b>, 1 < 2"), Some(true));
    assert_eq!(takes("<cal"), Some(true));
    assert_eq!(takes("<call>"), Some(false));
    assert_eq!(takes(call), Some(true));
    assert_eq!(takes(&format!("First this: {call}")), Some(true));
    assert_eq!(takes(&format!("{call}\n{call}")), Some(true));
    assert_eq!(takes(&format!("{call} and")), None);
    assert_eq!(takes("<call>\n{\"n\": 3"), None);
    assert_eq!(takes("some <call> more"), None);
}

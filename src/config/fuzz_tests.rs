//! Configuration files and values of settings that are nearly right: each is accepted, or its error
//! is one line of text.

use std::path::Path;

use proptest::prelude::*;

use super::setting::Setting;
use super::*;

/// What a line of a file may be made of.
fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "[a-z_]{0,20}",
        proptest::sample::select(
            &["listen", "store", "config", "max_body", "reactions", "aliases", "groups", "demo"][..]
        )
        .prop_map(str::to_owned),
    ];
    let value = prop_oneof![
        "\"[ -~]{0,20}\"",
        "[0-9_.e+-]{0,12}",
        "\\[(\"[a-z*]{0,5}\",?){0,3}\\]",
        "\\{[a-z]{0,3} ?= ?\"[a-z]{0,3}\"\\}",
        "true|false|inf|nan|1979-05-27",
        "[ -~]{0,12}",
    ];
    prop_oneof![
        (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        "\\[{1,2}(server|limits|redis|store|palettes(\\.[a-z]{1,4})?|[a-z]{0,8})\\]{1,2}",
        "[ -~]{0,20}",
        any::<String>(),
    ]
}

/// An error is one line, which says what to do.
fn one_line(error: &ConfigError) -> Result<(), TestCaseError> {
    let text = error.to_string();
    prop_assert!(!text.contains(['\n', '\r']), "{text:?}");
    Ok(())
}

proptest! {
    // How many cases: PROPTEST_CASES, else 256.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn configuration_files(lines in proptest::collection::vec(line(), 0..12)) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("onetap.toml");
        std::fs::write(&path, lines.join("\n")).expect("a file");
        let command = cli::definitions();
        if let Err(error) = config_file::read("--config", &path, &Setting::all(&command)) {
            one_line(&error)?;
        }
    }

    #[test]
    fn files_that_are_no_text(bytes in any::<Vec<u8>>()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path: &Path = &folder.path().join("onetap.toml");
        std::fs::write(path, bytes).expect("a file");
        let command = cli::definitions();
        if let Err(error) = config_file::read("--config", path, &Setting::all(&command)) {
            one_line(&error)?;
        }
    }

    #[test]
    fn addresses_of_stores(
        text in prop_oneof![
            "rediss?(\\+(sentinel|cluster))?://([a-z:%@/?#0-9.,\\[\\]-]{0,40})",
            "(file|memory|[a-z]{0,8}):.{0,30}",
            ".{0,40}",
        ]
    ) {
        if let Ok(store) = text.parse::<StoreUrl>() {
            // The address shows no password, so it need not parse again.
            prop_assert!(!store.to_string().is_empty());
        }
    }

    /// A password never gets into what is shown or logged.
    #[test]
    fn passwords_in_addresses(password in "[A-Z0-9%]{12,30}", host in "[a-z.:0-9,/]{0,20}") {
        let text = format!("redis://user:{password}@{host}");
        let shown = match text.parse::<StoreUrl>() {
            Ok(store) => format!("{store} {store:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(&password), "{shown}");
    }

    #[test]
    fn values_of_settings(text in prop_oneof![
        any::<String>(),
        "[0-9.]{0,22} ?[a-zA-Z]{0,3}( [0-9]{1,3}[a-z]{1,2})?",
        "([0-9.]{0,16}|\\[[0-9a-f:]{0,12}\\]|localhost|unix):[0-9/a-z]{0,8}",
        "(https?|null|[a-z]{0,6})(://)?[a-z0-9.:*\\[\\]-]{0,24}/?",
    ]) {
        let _ = (text.parse::<Listen>(), text.parse::<HostName>(), text.parse::<Origin>());
        let _ = (units::timeout(&text), units::retention(&text), units::mebibytes(&text));
        let _ = units::switch(&text);
    }
}

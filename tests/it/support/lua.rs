//! The Lua files and what their headers declare.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A file of `lua/lib`, `lua/commands` or `tests/lua`.
pub(crate) struct LuaFile {
    pub(crate) name: String,
    pub(crate) header: String,
    /// The code without comments.
    pub(crate) code: String,
}

/// All files of a folder.
pub(crate) fn lua_files(folder: &str) -> Vec<LuaFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| LuaFile::read(&entry.unwrap().path())).collect()
}

impl LuaFile {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let is_comment = |line: &&str| line.starts_with("--");
        let lines = |lines: Vec<&str>| lines.join("\n");
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            header: lines(text.lines().take_while(is_comment).collect()),
            code: lines(text.lines().filter(|line| !line.trim_start().starts_with("--")).collect()),
        }
    }

    /// What the header declares under this title: `-- Commands  GET SET`.
    pub(crate) fn stated(&self, title: &str) -> BTreeSet<String> {
        let lines = self.header.lines().filter_map(|line| line.strip_prefix("-- "));
        let stated = lines.filter_map(|line| line.strip_prefix(title)?.strip_prefix("  "));
        stated.flat_map(str::split_whitespace).map(str::to_owned).collect()
    }

    /// The commands that a tap may run, by the headers.
    pub(crate) fn commands_of_taps(&self) -> BTreeSet<String> {
        &self.stated("Commands") | &self.stated("Commands of taps")
    }
}

//! Samples as NDJSON, one object a line: what `nines export` writes and `nines import` reads.
//!
//! Compressed with zstd where the file's name ends in `.zst`; `-` is stdin or stdout. A file that is written has its
//! name only once it is whole and synced. Neither side holds more than a line in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use nines_shared::sample::{self, Sample};
use serde_json::Value;

use crate::store::samples;
use crate::uptime::calendar;

/// The longest line, in bytes: a sample with a long chain of certificates is some 10 kB.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// zstd's level when writing: the best that keeps up with reading the database.
const LEVEL: i32 = 3;
/// The ending of a file that is not whole yet.
const PARTIAL: &str = ".partial";

/// Whether `path` stands for stdin or stdout.
pub fn is_stdio(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "zst")
}

/// Reads samples, line by line.
pub struct Reader<'a> {
    lines: Box<dyn BufRead + Send + 'a>,
    line: Vec<u8>,
    number: u64,
}

/// A line that is no sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub number: u64,
    /// What is wrong with it and how to mend it.
    pub why: String,
}

impl<'a> Reader<'a> {
    /// Reads from `raw`, the bytes of the file at `path`, which says whether they are compressed.
    ///
    /// # Errors
    /// What zstd says of its own set-up.
    pub fn new(raw: impl Read + Send + 'a, path: &Path) -> io::Result<Self> {
        let lines: Box<dyn BufRead + Send + 'a> = if is_compressed(path) {
            Box::new(BufReader::with_capacity(1 << 17, zstd::Decoder::new(raw)?))
        } else {
            Box::new(BufReader::with_capacity(1 << 17, raw))
        };
        Ok(Self { lines, line: Vec::new(), number: 0 })
    }

    /// The next sample with its line's number, or what is wrong with the line; `None` at the end. Empty lines are
    /// skipped.
    ///
    /// # Errors
    /// Where reading or decompressing fails.
    pub fn next_line(&mut self) -> io::Result<Option<Result<(u64, Sample), BadLine>>> {
        loop {
            self.line.clear();
            let limit = u64::try_from(MAX_LINE_BYTES + 1).unwrap_or(u64::MAX);
            if (&mut self.lines).take(limit).read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let number = self.number;
            if MAX_LINE_BYTES < self.line.len() {
                self.skip_line()?;
                let why = format!("the line is longer than {MAX_LINE_BYTES} bytes");
                return Ok(Some(Err(BadLine { number, why })));
            }
            let line = self.line.trim_ascii();
            if !line.is_empty() {
                return Ok(Some(parse(line).map(|sample| (number, sample)).map_err(|why| BadLine { number, why })));
            }
        }
    }

    /// Reads to the end of a line that is too long, without keeping it.
    fn skip_line(&mut self) -> io::Result<()> {
        if self.line.last() != Some(&b'\n') {
            self.lines.skip_until(b'\n')?;
        }
        Ok(())
    }
}

/// The sample of one line. Its detail is made safe to print.
fn parse(line: &[u8]) -> Result<Sample, String> {
    let mut sample: Sample = match serde_json::from_slice(line) {
        Ok(sample) => sample,
        Err(error) => with_written_times(line).unwrap_or_else(|| Err(in_the_line(&error)))?,
    };
    if let Some(detail) = &mut sample.detail {
        *detail = sample::detail(detail);
    }
    Ok(sample)
}

/// The sample of a line that has a time of RFC 3339 in it; `None` where it has not.
fn with_written_times(line: &[u8]) -> Option<Result<Sample, String>> {
    let mut object: Value = serde_json::from_slice(line).ok()?;
    let mut written = false;
    for key in ["scheduled_at", "started_at"] {
        let Some(time @ Value::String(_)) = object.get_mut(key) else { continue };
        written = true;
        match calendar::instant(time.as_str().unwrap_or_default()) {
            Ok(at) => *time = at.as_ms().into(),
            Err(error) => return Some(Err(format!("{key}: {error}"))),
        }
    }
    written.then(|| serde_json::from_value(object).map_err(|error| error.to_string()))
}

/// The parser's message, which calls every line number 1, with the column alone.
fn in_the_line(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let bare = message.split(" at line ").next().unwrap_or(&message);
    format!("{bare} (column {})", error.column())
}

/// Writes samples, line by line.
pub struct Writer {
    out: Out,
    /// What is being written, and what it will be called.
    file: Option<(PathBuf, PathBuf)>,
}

enum Out {
    Plain(BufWriter<Box<dyn Write>>),
    Compressed(Box<zstd::Encoder<'static, BufWriter<Box<dyn Write>>>>),
}

impl Writer {
    /// Makes the file at `path`, under another name until it is whole; `-` is stdout.
    ///
    /// # Errors
    /// Where it can't be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        if is_stdio(path) {
            let out = BufWriter::with_capacity(1 << 17, Box::new(io::stdout().lock()) as Box<dyn Write>);
            return Ok(Self { out: Out::Plain(out), file: None });
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        let out = BufWriter::with_capacity(1 << 17, Box::new(File::create(&partial)?) as Box<dyn Write>);
        let out = match is_compressed(path) {
            true => Out::Compressed(Box::new(zstd::Encoder::new(out, LEVEL)?)),
            false => Out::Plain(out),
        };
        Ok(Self { out, file: Some((partial, path.to_owned())) })
    }

    /// Writes one line.
    ///
    /// # Errors
    /// Where the file or the pipe fails.
    pub fn write(&mut self, sample: &Sample) -> io::Result<()> {
        self.write_line(&samples::canonical(sample))
    }

    /// Writes `line`, and the line break that ends it.
    ///
    /// # Errors
    /// Where the file or the pipe fails.
    pub fn write_line(&mut self, line: &str) -> io::Result<()> {
        let out: &mut dyn Write = match &mut self.out {
            Out::Plain(out) => out,
            Out::Compressed(out) => out,
        };
        out.write_all(line.as_bytes())?;
        out.write_all(b"\n")
    }

    /// Ends the file, syncs it and gives it its name.
    ///
    /// # Errors
    /// Where any of that fails; the file then keeps its `.partial` name.
    pub fn finish(self) -> io::Result<()> {
        let mut out = match self.out {
            Out::Plain(out) => out,
            Out::Compressed(out) => out.finish()?,
        };
        out.flush()?;
        drop(out);
        if let Some((partial, path)) = self.file {
            File::open(&partial)?.sync_all()?;
            std::fs::rename(partial, path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::sample;

    const LINE: &str = r#"{"check":"a","region":"b","kind":"planned","scheduled_at":1790000040000,"started_at":1790000040003,"outcome":"up"}"#;

    fn read(text: &str) -> Vec<Result<(u64, Sample), BadLine>> {
        let mut reader = Reader::new(text.as_bytes(), Path::new("samples.ndjson")).unwrap();
        std::iter::from_fn(|| reader.next_line().unwrap()).collect()
    }

    #[test]
    fn times_may_be_milliseconds_or_rfc_3339() {
        let written = LINE.replace("1790000040003", "\"2026-09-21T14:14:00.003Z\"");
        let lines = read(&format!("{LINE}\n\n{written}\n"));
        let (first, second) = (lines[0].clone().unwrap(), lines[1].clone().unwrap());
        assert_eq!((first.0, second.0), (1, 3));
        assert_eq!(first.1, second.1);
    }

    #[test]
    fn a_bad_line_is_told_with_its_number_and_the_next_one_is_read() {
        let late = LINE.replace("1790000040003", "\"tomorrow\"");
        let bad = LINE.replace("\"up\"", "\"fine\"");
        let long = format!("{}{}", LINE, " ".repeat(MAX_LINE_BYTES));
        let lines = read(&format!("{bad}\n{{\n{late}\n{long}\n{LINE}"));
        let why: Vec<String> = lines[..4].iter().map(|line| line.clone().unwrap_err().why).collect();
        assert!(why[0].contains("fine") && why[0].contains("column"), "{why:?}");
        assert!(why[1].contains("EOF"), "{why:?}");
        assert!(why[2].contains("started_at: \"tomorrow\""), "{why:?}");
        assert!(why[3].contains("longer than"), "{why:?}");
        assert_eq!(lines[4].clone().unwrap().0, 5);
    }

    #[test]
    fn what_is_written_is_read_again_plain_and_compressed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["samples.ndjson", "samples.ndjson.zst"] {
            let path = folder.path().join(name);
            let mut writer = Writer::create(&path).unwrap();
            for at in 0..1_000 {
                writer.write(&sample("eu-west", at)).unwrap();
            }
            assert!(!path.exists(), "a file that is not whole has no name");
            writer.finish().unwrap();
            let mut reader = Reader::new(File::open(&path).unwrap(), &path).unwrap();
            let mut count = 0;
            while let Some(line) = reader.next_line().unwrap() {
                assert_eq!(line.unwrap(), (count + 1, sample("eu-west", i64::try_from(count).unwrap())));
                count += 1;
            }
            assert_eq!(count, 1_000);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_compressed_file_that_was_cut_off_is_an_error_not_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.zst");
        let mut writer = Writer::create(&path).unwrap();
        for at in 0..1_000 {
            writer.write(&sample("eu-west", at)).unwrap();
        }
        writer.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut reader = Reader::new(&whole[..whole.len() - 20], &path).unwrap();
        let end = std::iter::from_fn(|| reader.next_line().transpose()).find_map(Result::err);
        assert_eq!(end.unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }
}

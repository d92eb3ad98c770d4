//! What a script says on one of many hosts, as its result has it.

use winrm::clixml::{Decoder, Piece};
use winrm::{MayHaveRun, Record};
use winrm_fleet::{Kept, Listener, Trouble};

use super::diagnosis::Diagnosis;
use super::said;

/// Keeps text as it came or objects as a list in JSON, and beside that what `ps` shows on standard error for one host.
pub(super) struct HostListener {
    engine: String,
    diagnosis: Diagnosis,
    objects: Option<List>,
}

#[derive(Default)]
struct List {
    decoder: Decoder,
    begun: bool,
}

impl HostListener {
    pub(super) fn new(engine: String, takes_objects: bool) -> Self {
        Self {
            engine,
            diagnosis: Diagnosis::default(),
            objects: takes_objects.then(List::default),
        }
    }
}

impl List {
    fn take(&mut self, pieces: Vec<Piece>, kept: &mut Kept) {
        for piece in pieces {
            match piece {
                Piece::Item(item) => {
                    let before = kept.stdout.len();
                    kept.stdout.push(if self.begun { b',' } else { b'[' });
                    if serde_json::to_writer(&mut kept.stdout, &item.value).is_ok() {
                        self.begun = true;
                    } else {
                        kept.stdout.truncate(before);
                    }
                }
                // What Write-Host and native programs have written is no object.
                Piece::Text(text) => kept.stderr.extend(text),
                _ => {}
            }
        }
    }
}

impl Listener for HostListener {
    fn takes_objects(&self) -> bool {
        self.objects.is_some()
    }

    fn output(&mut self, bytes: &[u8], kept: &mut Kept) {
        match &mut self.objects {
            None => kept.stdout.extend_from_slice(bytes),
            Some(list) => {
                let pieces = list.decoder.push(bytes);
                list.take(pieces, kept);
            }
        }
    }

    fn record(&mut self, record: Record, kept: &mut Kept) {
        self.diagnosis.hear(&record);
        if let Record::Text(bytes) = record {
            kept.stderr.extend(bytes);
        } else if let Some(said) = said::lines(&record) {
            let line = format!("{}{}\n", said.prefix, said.text);
            kept.stderr
                .extend_from_slice(anstream::adapter::strip_str(&line).to_string().as_bytes());
        }
    }

    fn end(&mut self, kept: &mut Kept) {
        if let Some(list) = &mut self.objects {
            let pieces = list.decoder.finish();
            list.take(pieces, kept);
            kept.stdout.extend_from_slice(if list.begun { b"]" } else { b"[]" });
        }
    }

    fn explain(&self, exit_code: Option<u32>, success: bool) -> Option<Trouble> {
        let found = self.diagnosis.found(exit_code, &self.engine)?;
        if found.has_begun && success {
            // The user's word on exit codes counts more than what the script's words look like.
            return None;
        }
        let may_have_run = if found.has_begun { MayHaveRun::Yes } else { MayHaveRun::No };
        Some(Trouble::script(found.what, may_have_run).with_hint(found.hint))
    }
}

//! The reader of XML beside another one: what both take has to be the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_proto::xml::{Document, Element, Limits};

fn same(ours: Element<'_, '_>, theirs: roxmltree::Node<'_, '_>) {
    assert_eq!(ours.local_name(), theirs.tag_name().name());
    assert_eq!(ours.namespace(), theirs.tag_name().namespace().unwrap_or(""));
    let text: String = theirs.children().filter(|child| child.is_text()).filter_map(|child| child.text()).collect();
    assert_eq!(ours.text(), text);
    for attribute in theirs.attributes() {
        assert_eq!(ours.attribute(attribute.namespace().unwrap_or(""), attribute.name()), Some(attribute.value()));
    }
    let theirs: Vec<_> = theirs.children().filter(|child| child.is_element()).collect();
    assert_eq!(ours.children().count(), theirs.len());
    for (ours, theirs) in ours.children().zip(theirs) {
        same(ours, theirs);
    }
}

fuzz_target!(|data: &str| {
    if let (Ok(ours), Ok(theirs)) = (Document::parse(data, &Limits::default()), roxmltree::Document::parse(data)) {
        same(ours.root(), theirs.root_element());
    }
});

//! Ends that a crash tore, wherever it did.

use proptest::prelude::*;

use super::*;

/// A log with a start and two transfers, and no stop: as a crash leaves it.
fn crashed(bench: &Bench) -> Vec<u8> {
    let audit = bench.open();
    audit.record(transfer(TransferState::Reserved, 1));
    audit.record(transfer(TransferState::Committed, 1));
    audit.flush().unwrap();
    bench.content()
}

fn last_line_begins(content: &[u8]) -> usize {
    content[..content.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

/// A start after the file was cut: what the start wrote, without what the end of it wrote.
fn restart_after_cut(bench: &Bench, content: &[u8], cut: usize) -> Vec<u8> {
    bench.put(&content[..cut]);
    let _audit = bench.open();
    bench.content()
}

#[test]
fn an_end_torn_at_any_byte_is_kept_and_told() {
    let bench = Bench::new();
    let content = crashed(&bench);
    let begin = last_line_begins(&content);
    for cut in begin + 1..content.len() {
        let after = restart_after_cut(&bench, &content, cut);
        assert!(after.starts_with(&content[..cut]) && after[cut] == b'\n', "{cut}");
        let verified = bench.verify();
        assert_eq!(verified.recoveries.len(), 1, "{cut}");
        assert_eq!((verified.recoveries[0].bytes, verified.recoveries[0].told_at.line), ((cut - begin) as u64, 4));
        // Started, reserved, recovered, started, stopped.
        assert_eq!((verified.records, verified.last.sequence), (5, 5), "{cut}");
    }
    // Between two lines nothing is torn.
    restart_after_cut(&bench, &content, begin);
    assert_eq!(bench.verify().recoveries, []);
}

#[test]
fn a_first_line_torn_at_any_byte_is_kept_and_told() {
    let bench = Bench::new();
    let content = crashed(&bench);
    let first = content.iter().position(|byte| *byte == b'\n').unwrap();
    for cut in 1..=first {
        restart_after_cut(&bench, &content, cut);
        let verified = bench.verify();
        assert_eq!((verified.records, verified.first.sequence, verified.recoveries.len()), (3, 1, 1), "{cut}");
        assert_eq!(verified.continues, None);
    }
}

#[test]
fn a_crash_during_a_recovery_is_recovered_from() {
    let bench = Bench::new();
    let content = crashed(&bench);
    let begin = last_line_begins(&content);
    // Torn within the opening, in the middle, and of nothing but the newline.
    for cut in [begin + 5, begin + 200, content.len() - 1] {
        let recovering = restart_after_cut(&bench, &content, cut);
        let near_a_newline =
            |at: usize| recovering[at.saturating_sub(2)..(at + 3).min(recovering.len())].contains(&b'\n');
        for second in (cut..recovering.len()).filter(|at| at % 11 == 0 || near_a_newline(*at)) {
            let after = restart_after_cut(&bench, &recovering, second);
            assert!(after.starts_with(&recovering[..second]), "{cut} {second}");
            bench.verify();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn crashes_upon_crashes_leave_a_whole_chain(cuts in prop::collection::vec(0.0f64..1.0, 1..6)) {
        let bench = Bench::new();
        let mut content = crashed(&bench);
        let mut synced = last_line_begins(&content);
        for cut in cuts {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let lost = ((content.len() - synced) as f64 * cut) as usize;
            let kept = content.len() - lost;
            content = restart_after_cut(&bench, &content, kept);
            let verified = verify(std::slice::from_ref(bench.file()), None);
            prop_assert!(verified.is_ok(), "{:?}\n{}", verified, String::from_utf8_lossy(&content));
            synced = kept;
        }
    }

    #[test]
    fn whatever_stands_after_the_last_newline_is_kept_and_told(
        torn in prop::collection::vec(any::<u8>().prop_filter("no newline", |byte| *byte != b'\n'), 1..2000),
    ) {
        let bench = Bench::new();
        let mut content = crashed(&bench);
        let cut = content.len();
        content.extend_from_slice(&torn);
        let after = restart_after_cut(&bench, &content, cut + torn.len());
        prop_assert!(after.starts_with(&content));
        prop_assert_eq!(bench.verify().recoveries[0].bytes, torn.len() as u64);
    }
}

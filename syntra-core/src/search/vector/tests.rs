//! Both indexes against the conformance suite, and the graph's recall against the scan.

use super::{FlatIndex, HnswIndex};
use crate::search::VectorIndex;
use crate::search::bytes::{ColumnsIn, ColumnsOut};
use crate::testing::vector_index_conformance;
use std::convert::Infallible;

/// Vectors in a few hundred clusters, the same every time.
pub(super) fn cloud(count: usize, dimensions: usize) -> Vec<Vec<f32>> {
    let mut state = 7u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let centres: Vec<Vec<f32>> = (0..200).map(|_| (0..dimensions).map(|_| next()).collect()).collect();
    (0..count).map(|i| centres[i % 200].iter().map(|x| x + 0.6 * next()).collect()).collect()
}

#[test]
fn flat_keeps_the_contract() {
    vector_index_conformance(|dimensions| Box::new(FlatIndex::new(dimensions)), 1.0).unwrap();
}

#[test]
fn hnsw_keeps_the_contract() {
    vector_index_conformance(|dimensions| Box::new(HnswIndex::new(dimensions)), 0.95).unwrap();
}

#[test]
fn a_cosine_is_right_to_some_hundred_thousandths() {
    for dimensions in [2, 64, 256, 1_000] {
        let vectors = cloud(300, dimensions);
        let unit = |vector: &[f32]| super::normalised(dimensions, vector).unwrap();
        let mut index = FlatIndex::new(dimensions);
        for (key, vector) in (0u32..).zip(&vectors) {
            index.upsert(key, vector).unwrap();
        }
        for query in vectors.iter().step_by(60) {
            for (key, cosine) in index.search(query, 300, None).unwrap() {
                let exact = super::dot(&unit(query), &unit(&vectors[key as usize]));
                let kept = super::dot(&unit(query), &index.get(key).unwrap());
                assert!((cosine - exact).abs() < 4e-5 && (kept - exact).abs() < 4e-5, "{cosine} {kept} {exact}");
            }
        }
    }
}

#[test]
fn the_quantised_scan_finds_what_the_exact_one_does() {
    let vectors = cloud(4_000, 64);
    let mut index = FlatIndex::new(64);
    for (key, vector) in vectors.iter().enumerate() {
        index.upsert(key as u32, vector).unwrap();
    }
    let (mut same, mut all) = (0, 0);
    for query in vectors.iter().step_by(211) {
        let quick = index.search(query, 10, None).unwrap();
        // Asking for half of them all is answered in full precision.
        let exact = index.search(query, 2_000, None).unwrap();
        same += quick.iter().filter(|found| exact[..10].contains(found)).count();
        all += 10;
    }
    assert!(same * 1000 >= all * 995, "{same} of {all}");
}

/// How many of the ten nearest of some of `vectors` a search finds, and how many there are: without a filter, and with one. What is not
/// `there` is never among them.
fn agreement(index: &FlatIndex, vectors: &[Vec<f32>], there: impl Fn(u32) -> bool) -> (usize, usize) {
    let (mut same, mut all) = (0, 0);
    for query in vectors.iter().step_by(vectors.len() / 31) {
        for keep in [None, Some(&(|key: u32| key.is_multiple_of(3)) as &dyn Fn(u32) -> bool)] {
            let quick = index.search(query, 10, keep).unwrap();
            // Asking for a good part of them all is answered in full precision.
            let exact = index.search(query, index.len() / 2 + 100, keep).unwrap();
            same += quick.iter().filter(|found| exact[..10].contains(found)).count();
            all += 10;
            assert!(quick.iter().all(|(key, _)| keep.is_none_or(|keep| keep(*key)) && there(*key)));
        }
    }
    (same, all)
}

#[test]
fn one_bit_a_dimension_loses_almost_none_of_the_nearest() {
    let vectors = cloud(31_000, 64);
    let mut index = FlatIndex::new(64);
    for (key, vector) in vectors.iter().enumerate() {
        index.upsert(key as u32, vector).unwrap();
    }
    // The codes follow what is replaced and removed.
    for key in 0..500u32 {
        index.upsert(key, &vectors[key as usize + 500]).unwrap();
        assert!(index.remove(30_000 + key));
    }
    let (same, all) = agreement(&index, &vectors, |key| !(30_000..30_500).contains(&key));
    assert!(same * 100 >= all * 99, "{same} of {all}");
}

#[test]
fn what_is_arranged_is_found_replaced_removed_and_restored() {
    let vectors = cloud(9_000, 64);
    let mut index = FlatIndex::new(64);
    for (key, vector) in vectors.iter().take(8_800).enumerate() {
        index.upsert(key as u32, vector).unwrap();
    }
    index.arrange_all();
    for key in 0..200u32 {
        index.upsert(key, &vectors[key as usize + 500]).unwrap();
        assert!(index.remove(8_000 + key));
        index.upsert(10_000 + key, &vectors[key as usize + 8_800]).unwrap();
    }
    let (same, all) = agreement(&index, &vectors, |key| !(8_000..8_200).contains(&key));
    assert!(same * 100 >= all * 97, "{same} of {all}");
    // What was written since is found however far it is from its group.
    for at in [500, 699, 8_800, 8_999] {
        let found = index.search(&vectors[at], 2, None).unwrap();
        let key = if at < 8_800 { at as u32 - 500 } else { at as u32 + 1_200 };
        assert!(found.iter().any(|(near, cosine)| *near == key && *cosine > 0.999), "{at}: {found:?}");
    }
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut out = ColumnsOut::new(|part: &[u8]| {
        parts.push(part.to_vec());
        Ok::<(), Infallible>(())
    });
    let Ok(()) = index.save(&mut out);
    let (bytes, mut parts) = (parts.iter().map(Vec::len).sum::<usize>() as u64, parts.into_iter());
    let next = |buffer: &mut Vec<u8>| parts.next().map(|part| *buffer = part);
    let restored = FlatIndex::restore(64, &mut ColumnsIn::new(next, bytes)).unwrap();
    for query in vectors.iter().step_by(999) {
        assert_eq!(restored.search(query, 10, None).unwrap(), index.search(query, 10, None).unwrap());
    }
}

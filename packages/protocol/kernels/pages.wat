;; Records of whole pages, and deltas applied to pages, in the work memory. What calls this has checked that all
;; that is read and written lies in it.
;;
;; The first bytes are fixed: 0 result words, 16 the counted name of a RAM block, 320 a bit for each page of a run (see
;; work-memory.ts).
(module
  (memory $work (import "work" "memory") 1)

  ;; Copies a page to a lower place that may overlap it.
  (func $copyPage (param $to i32) (param $from i32)
    (local $end i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $from) (i32.const 4096)))
    (loop $next
      (local.set $a (v128.load (local.get $from)))
      (local.set $b (v128.load offset=16 (local.get $from)))
      (local.set $c (v128.load offset=32 (local.get $from)))
      (local.set $d (v128.load offset=48 (local.get $from)))
      (v128.store (local.get $to) (local.get $a))
      (v128.store offset=16 (local.get $to) (local.get $b))
      (v128.store offset=32 (local.get $to) (local.get $c))
      (v128.store offset=48 (local.get $to) (local.get $d))
      (local.set $to (i32.add (local.get $to) (i32.const 64)))
      (br_if $next
        (i32.lt_u
          (local.tee $from (i32.add (local.get $from) (i32.const 64)))
          (local.get $end)))))

  ;; include encode-run.wat, $pages is $work

  ;; Nobody asks for the heads of pages that were copied here.
  (func $keepHead (param $page i32) (param $head v128))

  ;; Looks which pages have only zeros, and says so as `encodeRun` does. Returns how many have.
  (func (export "zeroPages") (param $page i32) (param $count i32) (result i32)
    (local $zeros i32) (local $n i32)
    (call $forgetZeros)
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $n) (local.get $count)))
        (if (call $isZero (local.get $page))
          (then
            (local.set $zeros (i32.add (local.get $zeros) (i32.const 1)))
            (call $noteZero (local.get $n))))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 0) (local.get $zeros))
    (local.get $zeros))

  ;; Moves the pages of a run that do not have only zeros down, so that they follow each other, and writes the offset of each
  ;; at `words`, one behind the other. Says which have only zeros as `encodeRun` does.
  (func (export "packPages")
    (param $page i32) (param $count i32) (param $high i32) (param $low i32) (param $words i32)
    (local $word i64) (local $to i32) (local $zeros i32) (local $n i32)
    (local.set $word (call $wordOf (local.get $high) (local.get $low)))
    (local.set $to (local.get $page))
    (call $forgetZeros)
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $n) (local.get $count)))
        (if (call $isZero (local.get $page))
          (then
            (local.set $zeros (i32.add (local.get $zeros) (i32.const 1)))
            (call $noteZero (local.get $n)))
          (else
            (if (i32.ne (local.get $to) (local.get $page))
              (then (call $copyPage (local.get $to) (local.get $page))))
            (call $putWord (local.get $words) (local.get $word))
            (local.set $words (i32.add (local.get $words) (i32.const 8)))
            (local.set $to (i32.add (local.get $to) (i32.const 4096)))))
        (local.set $word (i64.add (local.get $word) (i64.const 4096)))
        (local.set $page (i32.add (local.get $page) (i32.const 4096)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 0) (local.get $zeros)))

  ;; Counts the words from `words` on that are offsets of pages that follow each other.
  (func (export "countOffsets")
    (param $words i32) (param $count i32) (param $high i32) (param $low i32) (result i32)
    (local $word i64) (local $n i32)
    (local.set $word (call $wordOf (local.get $high) (local.get $low)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $n) (local.get $count)))
        (br_if $done (i32.eqz (call $hasWord (local.get $words) (local.get $word))))
        (local.set $words (i32.add (local.get $words) (i32.const 8)))
        (local.set $word (i64.add (local.get $word) (i64.const 4096)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (local.get $n))

  ;; Counts the records from `at` on that are whole, of pages that follow each other, and of the kind of the first:
  ;; all pages, or all pages of zeros.
  (func (export "countRun")
    (param $at i32) (param $end i32) (param $high i32) (param $low i32) (param $most i32) (result i32)
    (local $word i64) (local $count i32) (local $flags i64) (local $bytes i32)
    (local.set $word (call $wordOf (local.get $high) (local.get $low)))
    (if (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 9))
      (then (return (i32.const 0))))
    (local.set $flags (i64.const 0x28))
    (local.set $bytes (i32.const 4104))
    (if (call $hasWord (local.get $at) (i64.or (local.get $word) (i64.const 0x22)))
      (then
        (local.set $flags (i64.const 0x22))
        (local.set $bytes (i32.const 9))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $count) (local.get $most)))
        (br_if $done (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (local.get $bytes)))
        (br_if $done
          (i32.eqz (call $hasWord (local.get $at) (i64.or (local.get $word) (local.get $flags)))))
        (if (i32.eq (local.get $bytes) (i32.const 9))
          (then (br_if $done (i32.load8_u offset=8 (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (local.get $bytes)))
        (local.set $word (i64.add (local.get $word) (i64.const 4096)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))

  ;; Counts the words from `words` on that belong to records of pages that follow each other in a block.
  (func (export "countWords")
    (param $words i32) (param $count i32) (param $high i32) (param $low i32) (result i32)
    (local $word i64) (local $n i32)
    (local.set $word (i64.or (call $wordOf (local.get $high) (local.get $low)) (i64.const 0x28)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $n) (local.get $count)))
        (br_if $done (i32.eqz (call $hasWord (local.get $words) (local.get $word))))
        (local.set $words (i32.add (local.get $words) (i32.const 8)))
        (local.set $word (i64.add (local.get $word) (i64.const 4096)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (local.get $n))

  ;; Moves the pages of `count` records of pages down to the page of the first, so that they follow each other.
  (func (export "gatherRun") (param $at i32) (param $count i32)
    (local $to i32)
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (local.set $to (local.get $at))
    (block $done
      (loop $next
        (local.set $at (i32.add (local.get $at) (i32.const 4104)))
        (local.set $to (i32.add (local.get $to) (i32.const 4096)))
        (br_if $done
          (i32.le_s (local.tee $count (i32.sub (local.get $count) (i32.const 1))) (i32.const 0)))
        (call $copyPage (local.get $to) (local.get $at))
        (br $next))))

  (func $hasWord (param $at i32) (param $word i64) (result i32)
    (i64.eq
      (i64x2.extract_lane 0
        (i8x16.shuffle 7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0
          (v128.load64_zero (local.get $at))
          (v128.load64_zero (local.get $at))))
      (local.get $word)))

  ;; The length at `at` and how many bytes it takes, as length * 4 + bytes. 0 when there is none: one byte must
  ;; follow it at least.
  (func $runLength (param $at i32) (param $end i32) (result i32)
    (local $low i32) (local $high i32)
    (if (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 2))
      (then (return (i32.const 0))))
    (local.set $low (i32.load8_u (local.get $at)))
    (if (i32.lt_u (local.get $low) (i32.const 0x80))
      (then (return (i32.or (i32.shl (local.get $low) (i32.const 2)) (i32.const 1)))))
    (local.set $high (i32.load8_u offset=1 (local.get $at)))
    (if (i32.ge_u (local.get $high) (i32.const 0x80))
      (then (return (i32.const 0))))
    (i32.or
      (i32.or
        (i32.shl (i32.and (local.get $low) (i32.const 0x7f)) (i32.const 2))
        (i32.shl (local.get $high) (i32.const 9)))
      (i32.const 2)))

  ;; Applies a delta to a page; checks it only when `page` is -1. Returns 0 when the delta is broken: the page may
  ;; then be changed in part.
  (func (export "applyDelta") (param $delta i32) (param $length i32) (param $page i32) (result i32)
    (local $end i32) (local $at i32) (local $run i32) (local $first i32)
    (local.set $end (i32.add (local.get $delta) (local.get $length)))
    (local.set $first (i32.const 1))
    (loop $next
      ;; Unchanged: may be nothing in front of the first run only.
      (local.set $run (call $runLength (local.get $delta) (local.get $end)))
      (if (i32.lt_u (local.get $run) (select (i32.const 1) (i32.const 4) (local.get $first)))
        (then (return (i32.const 0))))
      (local.set $first (i32.const 0))
      (local.set $delta
        (i32.add (local.get $delta) (i32.and (local.get $run) (i32.const 3))))
      (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $run) (i32.const 2))))
      ;; Changed.
      (local.set $run (call $runLength (local.get $delta) (local.get $end)))
      (if (i32.lt_u (local.get $run) (i32.const 4))
        (then (return (i32.const 0))))
      (local.set $delta
        (i32.add (local.get $delta) (i32.and (local.get $run) (i32.const 3))))
      (local.set $run (i32.shr_u (local.get $run) (i32.const 2)))
      (if
        (i32.or
          (i32.gt_u (i32.add (local.get $at) (local.get $run)) (i32.const 4096))
          (i32.gt_u (local.get $run) (i32.sub (local.get $end) (local.get $delta))))
        (then (return (i32.const 0))))
      (if (i32.ne (local.get $page) (i32.const -1))
        (then
          (call $copy
            (i32.add (local.get $page) (local.get $at))
            (local.get $delta)
            (local.get $run))))
      (local.set $delta (i32.add (local.get $delta) (local.get $run)))
      (local.set $at (i32.add (local.get $at) (local.get $run)))
      (br_if $next (i32.lt_u (local.get $delta) (local.get $end))))
    (i32.const 1))

  ;; include copy.wat
)

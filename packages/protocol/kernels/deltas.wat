;; Deltas against cached pages. New pages and deltas are in the work memory, cached pages in a memory of their own.
;; What calls this has checked that all that is read and written lies in them.
(module
  (memory $work (import "work" "memory") 1)
  (memory $cache (import "cache" "memory") 1)

  (func (export "keep") (param $kept i32) (param $page i32)
    (memory.copy $cache $work (local.get $kept) (local.get $page) (i32.const 4096)))

  (func (export "keepZeros") (param $kept i32)
    (memory.fill $cache (local.get $kept) (i32.const 0) (i32.const 4096)))

  ;; Writes the delta that turns the cached page into `page`, at most `room` bytes. Returns its length, 0 when the pages are the
  ;; same, -1 when there is no room. With `replace` the cached page becomes the new one.
  ;;
  ;; Looks at 64 bytes at a time, of which most are as they were. Of those that are not it makes a mask, a bit for
  ;; each byte that differs, and goes from one end of a run to the next by counting zeros in it.
  (func (export "encodeDelta")
    (param $kept i32) (param $page i32) (param $out i32) (param $room i32) (param $replace i32) (result i32)
    (local $at i32) (local $mask i64) (local $length i32)
    ;; Where the present stretch began, and whether it is one of changed bytes.
    (local $from i32) (local $changed i32) (local $to i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $p v128) (local $q v128) (local $r v128) (local $s v128)
    (block $overflow
      (loop $next
        (local.set $a (v128.load $work (local.tee $to (i32.add (local.get $page) (local.get $at)))))
        (local.set $b (v128.load $work offset=16 (local.get $to)))
        (local.set $c (v128.load $work offset=32 (local.get $to)))
        (local.set $d (v128.load $work offset=48 (local.get $to)))
        (local.set $p
          (v128.load $cache (local.tee $to (i32.add (local.get $kept) (local.get $at)))))
        (local.set $q (v128.load $cache offset=16 (local.get $to)))
        (local.set $r (v128.load $cache offset=32 (local.get $to)))
        (local.set $s (v128.load $cache offset=48 (local.get $to)))
        (local.set $mask (i64.const 0))
        (if
          (v128.any_true
            (v128.or
              (v128.or
                (v128.xor (local.get $a) (local.get $p))
                (v128.xor (local.get $b) (local.get $q)))
              (v128.or
                (v128.xor (local.get $c) (local.get $r))
                (v128.xor (local.get $d) (local.get $s)))))
          (then
            (if (local.get $replace)
              (then
                (v128.store $cache (local.get $to) (local.get $a))
                (v128.store $cache offset=16 (local.get $to) (local.get $b))
                (v128.store $cache offset=32 (local.get $to) (local.get $c))
                (v128.store $cache offset=48 (local.get $to) (local.get $d))))
            (local.set $mask
              (i64.or
                (i64.or
                  (i64.extend_i32_u (i8x16.bitmask (i8x16.ne (local.get $a) (local.get $p))))
                  (i64.shl
                    (i64.extend_i32_u (i8x16.bitmask (i8x16.ne (local.get $b) (local.get $q))))
                    (i64.const 16)))
                (i64.or
                  (i64.shl
                    (i64.extend_i32_u (i8x16.bitmask (i8x16.ne (local.get $c) (local.get $r))))
                    (i64.const 32))
                  (i64.shl
                    (i64.extend_i32_u (i8x16.bitmask (i8x16.ne (local.get $d) (local.get $s))))
                    (i64.const 48)))))))
        ;; In a stretch of changed bytes it is the first one that is as it was that is looked for.
        (local.set $mask
          (i64.xor (local.get $mask) (i64.extend_i32_s (i32.sub (i32.const 0) (local.get $changed)))))
        (block $blockDone
          (loop $stretch
            (br_if $blockDone (i64.eqz (local.get $mask)))
            (local.set $to (i32.add (local.get $at) (i32.wrap_i64 (i64.ctz (local.get $mask)))))
            (local.set $length
              (call $putStretch
                (local.get $out) (local.get $length) (local.get $room)
                (local.get $page) (local.get $from) (local.get $to) (local.get $changed)))
            (br_if $overflow (i32.lt_s (local.get $length) (i32.const 0)))
            (local.set $from (local.get $to))
            (local.set $changed (i32.eqz (local.get $changed)))
            (local.set $mask
              (i64.and
                (i64.xor (local.get $mask) (i64.const -1))
                (i64.shl
                  (i64.const -1)
                  (i64.extend_i32_u (i32.sub (local.get $to) (local.get $at))))))
            (br $stretch)))
        (br_if $next
          (i32.lt_u
            (local.tee $at (i32.add (local.get $at) (i32.const 64)))
            (i32.const 4096))))
      (if (local.get $changed)
        (then
          (local.set $length
            (call $putStretch
              (local.get $out) (local.get $length) (local.get $room)
              (local.get $page) (local.get $from) (i32.const 4096) (i32.const 1)))
          (br_if $overflow (i32.lt_s (local.get $length) (i32.const 0)))
          (return (local.get $length))))
      (if (i32.eqz (local.get $from)) (then (return (i32.const 0))))
      ;; What follows the last run counts as one that begins.
      (br_if $overflow (i32.gt_u (i32.add (local.get $length) (i32.const 2)) (local.get $room)))
      (return (local.get $length)))
    (if (local.get $replace)
      (then
        (memory.copy $cache $work (local.get $kept) (local.get $page) (i32.const 4096))))
    (i32.const -1))

  ;; Writes one of the two parts of a run behind the first `length` bytes. Returns the length with it, -1 when
  ;; there is no room.
  (func $putStretch
    (param $out i32) (param $length i32) (param $room i32)
    (param $page i32) (param $from i32) (param $to i32) (param $changed i32)
    (result i32)
    (local $run i32)
    (if (i32.gt_u (i32.add (local.get $length) (i32.const 2)) (local.get $room))
      (then (return (i32.const -1))))
    (local.set $run (i32.sub (local.get $to) (local.get $from)))
    (local.set $out (i32.add (local.get $out) (local.get $length)))
    (if (i32.lt_u (local.get $run) (i32.const 0x80))
      (then
        (i32.store8 $work (local.get $out) (local.get $run))
        (local.set $out (i32.add (local.get $out) (i32.const 1)))
        (local.set $length (i32.add (local.get $length) (i32.const 1))))
      (else
        (i32.store16 $work
          (local.get $out)
          (i32.or
            (i32.or (i32.and (local.get $run) (i32.const 0x7f)) (i32.const 0x80))
            (i32.shl (i32.shr_u (local.get $run) (i32.const 7)) (i32.const 8))))
        (local.set $out (i32.add (local.get $out) (i32.const 2)))
        (local.set $length (i32.add (local.get $length) (i32.const 2)))))
    (if (i32.eqz (local.get $changed)) (then (return (local.get $length))))
    (local.set $length (i32.add (local.get $length) (local.get $run)))
    (if (i32.gt_u (local.get $length) (local.get $room)) (then (return (i32.const -1))))
    (call $copy
      (local.get $out)
      (i32.add (local.get $page) (local.get $from))
      (local.get $run))
    (local.get $length))

  ;; include copy.wat
)

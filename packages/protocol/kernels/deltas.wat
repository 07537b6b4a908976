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
  ;; Most of a page is as it was, and is passed 64 bytes at a time. Of 64 that are not it makes a mask, a bit for each byte
  ;; that differs, and goes from one end of a stretch to the next by counting zeros in it. The loop that passes bytes
  ;; keeps nothing for the other, which reads them again: that is twice as fast as one that keeps eight vectors.
  (func (export "encodeDelta")
    (param $kept i32) (param $page i32) (param $out i32) (param $room i32) (param $replace i32) (result i32)
    (local $at i32) (local $mask i64) (local $length i32) (local $run i32)
    ;; Where the present stretch began, and whether it is one of changed bytes.
    (local $from i32) (local $changed i32) (local $to i32)
    (local $p i32) (local $k i32) (local $end i32)
    (local.set $end (i32.add (local.get $page) (i32.const 4096)))
    (block $overflow
      (block $seen
        (loop $next
          (local.set $p (i32.add (local.get $page) (local.get $at)))
          (local.set $k (i32.add (local.get $kept) (local.get $at)))
          (if (i32.eqz (local.get $changed))
            (then
              (block $differs
                (loop $pass
                  (br_if $differs
                    (v128.any_true
                      (v128.or
                        (v128.or
                          (v128.xor (v128.load $work (local.get $p)) (v128.load $cache (local.get $k)))
                          (v128.xor (v128.load $work offset=16 (local.get $p)) (v128.load $cache offset=16 (local.get $k))))
                        (v128.or
                          (v128.xor (v128.load $work offset=32 (local.get $p)) (v128.load $cache offset=32 (local.get $k)))
                          (v128.xor (v128.load $work offset=48 (local.get $p)) (v128.load $cache offset=48 (local.get $k)))))))
                  (local.set $k (i32.add (local.get $k) (i32.const 64)))
                  (br_if $pass
                    (i32.lt_u
                      (local.tee $p (i32.add (local.get $p) (i32.const 64)))
                      (local.get $end))))
                (br $seen))
              (local.set $at (i32.sub (local.get $p) (local.get $page)))))
          (local.set $mask
            (i64.or
              (i64.or
                (i64.extend_i32_u
                (i8x16.bitmask
                  (i8x16.ne (v128.load $work (local.get $p)) (v128.load $cache (local.get $k)))))
                (i64.shl
                  (i64.extend_i32_u
                (i8x16.bitmask
                  (i8x16.ne (v128.load $work offset=16 (local.get $p)) (v128.load $cache offset=16 (local.get $k)))))
                  (i64.const 16)))
              (i64.or
                (i64.shl
                  (i64.extend_i32_u
                (i8x16.bitmask
                  (i8x16.ne (v128.load $work offset=32 (local.get $p)) (v128.load $cache offset=32 (local.get $k)))))
                  (i64.const 32))
                (i64.shl
                  (i64.extend_i32_u
                (i8x16.bitmask
                  (i8x16.ne (v128.load $work offset=48 (local.get $p)) (v128.load $cache offset=48 (local.get $k)))))
                  (i64.const 48)))))
          (if (local.get $replace)
            (then
              (v128.store $cache (local.get $k) (v128.load $work (local.get $p)))
              (v128.store $cache offset=16 (local.get $k) (v128.load $work offset=16 (local.get $p)))
              (v128.store $cache offset=32 (local.get $k) (v128.load $work offset=32 (local.get $p)))
              (v128.store $cache offset=48 (local.get $k) (v128.load $work offset=48 (local.get $p)))))
          ;; In a stretch of changed bytes it is the first one that is as it was that is looked for.
          (local.set $mask
            (i64.xor (local.get $mask) (i64.extend_i32_s (i32.sub (i32.const 0) (local.get $changed)))))
          (block $ended
            (loop $stretch
              (br_if $ended (i64.eqz (local.get $mask)))
              (local.set $to (i32.add (local.get $at) (i32.wrap_i64 (i64.ctz (local.get $mask)))))
              (local.set $run (i32.sub (local.get $to) (local.get $from)))
              ;; A short one with room for a vector behind it is not worth a call.
              (if
                (i32.and
                  (i32.lt_u (local.get $run) (i32.const 17))
                  (i32.and
                    (i32.le_u (i32.add (local.get $length) (i32.const 17)) (local.get $room))
                    (i32.le_u (local.get $from) (i32.const 4080))))
                (then
                  (i32.store8 $work (i32.add (local.get $out) (local.get $length)) (local.get $run))
                  (local.set $length (i32.add (local.get $length) (i32.const 1)))
                  (if (local.get $changed)
                    (then
                      (v128.store $work
                        (i32.add (local.get $out) (local.get $length))
                        (v128.load $work (i32.add (local.get $page) (local.get $from))))
                      (local.set $length (i32.add (local.get $length) (local.get $run))))))
                (else
                  (local.set $length
                    (call $putStretch
                      (local.get $out) (local.get $length) (local.get $room)
                      (local.get $page) (local.get $from) (local.get $to) (local.get $changed)))
                  (br_if $overflow (i32.lt_s (local.get $length) (i32.const 0)))))
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
              (i32.const 4096)))))
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

;; Copies between a guest's memory, which is shared, and a work memory that pages are sent from or come in. A copy by
;; TypedArray.set from or to shared memory goes word by word.
(module
  (memory $own (import "own" "memory") 2 65536)
  (memory $guest (import "guest" "memory") 0 65536 shared)
  (memory $work (import "work" "memory") 1)

  ;; Copies pages to `to`, and keeps the first 16 bytes of each as they were copied (see harvest.wat).
  (func (export "read") (param $page i32) (param $count i32) (param $to i32)
    (local $from i32) (local $end i32) (local $shadow i32) (local $start v128)
    (local.set $from (i32.shl (local.get $page) (i32.const 12)))
    (local.set $shadow
      (i32.add (i32.const 0x20000) (i32.shl (local.get $page) (i32.const 4))))
    (block $done
      (loop $nextPage
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $end (i32.add (local.get $to) (i32.const 4096)))
        (local.set $start (v128.load $guest (local.get $from)))
        (loop $next
        (v128.store $work (local.get $to) (v128.load $guest (local.get $from)))
        (v128.store $work offset=16 (local.get $to) (v128.load $guest offset=16 (local.get $from)))
        (v128.store $work offset=32 (local.get $to) (v128.load $guest offset=32 (local.get $from)))
        (v128.store $work offset=48 (local.get $to) (v128.load $guest offset=48 (local.get $from)))
        (v128.store $work offset=64 (local.get $to) (v128.load $guest offset=64 (local.get $from)))
        (v128.store $work offset=80 (local.get $to) (v128.load $guest offset=80 (local.get $from)))
        (v128.store $work offset=96 (local.get $to) (v128.load $guest offset=96 (local.get $from)))
        (v128.store $work offset=112 (local.get $to) (v128.load $guest offset=112 (local.get $from)))
          (local.set $from (i32.add (local.get $from) (i32.const 128)))
          (br_if $next
            (i32.lt_u
              (local.tee $to (i32.add (local.get $to) (i32.const 128)))
              (local.get $end))))
        ;; Read only once: what is kept is what was copied.
        (v128.store $work (i32.sub (local.get $end) (i32.const 4096)) (local.get $start))
        (v128.store $own (local.get $shadow) (local.get $start))
        (local.set $shadow (i32.add (local.get $shadow) (i32.const 16)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $nextPage))))

  ;; Copies whole pages from `from` into the guest's memory.
  (func (export "write") (param $page i32) (param $count i32) (param $from i32)
    (local $to i32) (local $end i32)
    (local.set $to (i32.shl (local.get $page) (i32.const 12)))
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 12))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
        (v128.store $guest (local.get $to) (v128.load $work (local.get $from)))
        (v128.store $guest offset=16 (local.get $to) (v128.load $work offset=16 (local.get $from)))
        (v128.store $guest offset=32 (local.get $to) (v128.load $work offset=32 (local.get $from)))
        (v128.store $guest offset=48 (local.get $to) (v128.load $work offset=48 (local.get $from)))
        (v128.store $guest offset=64 (local.get $to) (v128.load $work offset=64 (local.get $from)))
        (v128.store $guest offset=80 (local.get $to) (v128.load $work offset=80 (local.get $from)))
        (v128.store $guest offset=96 (local.get $to) (v128.load $work offset=96 (local.get $from)))
        (v128.store $guest offset=112 (local.get $to) (v128.load $work offset=112 (local.get $from)))
        (local.set $to (i32.add (local.get $to) (i32.const 128)))
        (local.set $from (i32.add (local.get $from) (i32.const 128)))
        (br $next))))
)

;; The dirty log of a guest. `guest` is its memory, `control` has a byte for each of its pages that is set after a store.
;; `shadows`: from 0 on a bit for each page, from 0x20000 on the first 16 bytes of each page as they were last read.
(module
  (memory $shadows (import "shadows" "memory") 2 65536 shared)
  (memory $control (import "control" "memory") 0 65536 shared)
  (memory $guest (import "guest" "memory") 0 65536 shared)

  ;; Takes the marks of the first `pages` pages, a multiple of 16, which begin at `marks`, and sets the bits of the pages that were
  ;; written to. Bits of pages from `known` on that were not marked need a look as well: only the first can
  ;; have been changed by a store whose mark was taken.
  (func (export "harvest") (param $marks i32) (param $pages i32) (param $known i32)
    (local $page i32) (local $at i32) (local $bits i32) (local $behind i32)
    (memory.fill $shadows (i32.const 0) (i32.const 0) (i32.shr_u (i32.add (local.get $pages) (i32.const 31)) (i32.const 3)))
    (if (i32.lt_u (local.get $known) (local.get $pages))
      (then
        (if (call $startChanged (local.get $known))
          (then (call $setBit (local.get $known))))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $page) (local.get $pages)))
        (local.set $at (i32.add (local.get $marks) (local.get $page)))
        (if (v128.any_true (v128.load $control (local.get $at)))
          (then
            ;; An atomic exchange: no mark is lost, and no page is read before its mark is taken.
            (local.set $bits
              (i32.or
                (call $take (local.get $at))
                (i32.shl (call $take (i32.add (local.get $at) (i32.const 8))) (i32.const 8))))
            (local.set $at (i32.shr_u (local.get $page) (i32.const 3)))
            (i32.store16 $shadows
              (local.get $at)
              (i32.or (i32.load16_u $shadows (local.get $at)) (local.get $bits)))
            ;; Pages behind marked ones that are not marked themselves.
            (local.set $behind
              (i32.and
                (i32.shl (local.get $bits) (i32.const 1))
                (i32.xor (local.get $bits) (i32.const -1))))
            (block $looked
              (loop $look
                (br_if $looked (i32.eqz (local.get $behind)))
                (local.set $at (i32.add (local.get $page) (i32.ctz (local.get $behind))))
                (br_if $looked (i32.ge_u (local.get $at) (local.get $pages)))
                (if (call $startChanged (local.get $at))
                  (then (call $setBit (local.get $at))))
                (local.set $behind
                  (i32.and (local.get $behind) (i32.sub (local.get $behind) (i32.const 1))))
                (br $look)))))
        (local.set $page (i32.add (local.get $page) (i32.const 16)))
        (br $next))))

  ;; Takes eight marks. Returns a bit for each.
  (func $take (param $at i32) (result i32)
    (if (i64.eqz (i64.load $control (local.get $at))) (then (return (i32.const 0))))
    (i32.and
      (i8x16.bitmask
        (i8x16.ne
          (i64x2.replace_lane 0
            (v128.const i64x2 0 0)
            (i64.atomic.rmw.xchg $control (local.get $at) (i64.const 0)))
          (v128.const i64x2 0 0)))
      (i32.const 0xff)))

  (func $setBit (param $page i32)
    (local $at i32)
    (local.set $at (i32.shr_u (local.get $page) (i32.const 3)))
    (i32.store8 $shadows
      (local.get $at)
      (i32.or
        (i32.load8_u $shadows (local.get $at))
        (i32.shl (i32.const 1) (i32.and (local.get $page) (i32.const 7))))))

  ;; Whether the first bytes of a page are not those that were last read.
  (func $startChanged (param $page i32) (result i32)
    (local $shadow i32)
    (local.set $shadow
      (i32.add (i32.const 0x20000) (i32.shl (local.get $page) (i32.const 4))))
    (v128.any_true
      (v128.xor
        (v128.load $guest (i32.shl (local.get $page) (i32.const 12)))
        (v128.load $shadows (local.get $shadow)))))

  ;; Keeps the first bytes of pages that are about to be read.
  (func (export "remember") (param $page i32) (param $count i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $page) (local.get $count)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $page) (local.get $end)))
        (v128.store $shadows
          (i32.add (i32.const 0x20000) (i32.shl (local.get $page) (i32.const 4)))
          (v128.load $guest (i32.shl (local.get $page) (i32.const 12))))
        (local.set $page (i32.add (local.get $page) (i32.const 1)))
        (br $next))))
)
